#!/usr/bin/env bash
# torch 2.15.0: making an optimizer, or taking a tensor to the meta device below a TorchDispatchMode, imports the compiler,
# although nothing is compiled: torch._dynamo, torch._inductor and sympy, more than 700 modules that were not there after
# `import torch`. One would guess that eager training needs none of them. They take longer than `import torch` itself,
# and about 170 MB. TORCH_COMPILE_DISABLE=1 and TORCHDYNAMO_DISABLE=1 do not prevent it.
# Seen, for each of the two: torch._dynamo, torch._inductor and sympy are absent before and present after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 numpy
look='import sys
def there(): return [m in sys.modules for m in ("torch._dynamo", "torch._inductor", "sympy")]
import torch
from torch.utils._python_dispatch import TorchDispatchMode
class Plain(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))
before, number = there(), len(sys.modules)
'
for action in 'torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)' 'with Plain(): torch.zeros(1).to("meta")'; do
    TORCH_COMPILE_DISABLE=1 TORCHDYNAMO_DISABLE=1 "$folder/venv/bin/python" -c "$look
$action
after, more = there(), len(sys.modules) - number
print('''$action''', before, after, more, 'more modules')
assert before == [False] * 3 and after == [True] * 3 and more > 700"
done
