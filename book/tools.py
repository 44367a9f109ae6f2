"""The page "Networks in other tools", made from tools.json.

`python book/tools.py [NETWORKS [TOOLS]]`, names with commas between them, tries them (without names all) and writes
there what it found. It takes onnx, onnxscript, onnxruntime and safetensors besides. A test repeats what is quick.
"""

import copy
import inspect
import json
import pickle
import sys
import tempfile
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.overrides import TorchFunctionMode

from cnncourse.models import MODELS
from cnncourse.trace import activations

RESULTS = Path(__file__).with_name("tools.json")


def built(name: str) -> tuple[nn.Module, Tensor]:
    """A network in evaluation mode and three images, of which its logits depend: the weights are He's, and batch
    normalisation has the statistics of these images."""
    torch.manual_seed(0)
    net = MODELS[name]()
    images = torch.randn(3, *net.input_shape)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        net.train()(images)
    return net.eval(), images


def close(found: Tensor, wanted: Tensor) -> None:
    assert found.shape == wanted.shape, f"{tuple(found.shape)} in place of {tuple(wanted.shape)}"
    error = (found - wanted).abs().max() / wanted.abs().max()
    limit = 1e-6 if found.dtype == torch.double else 5e-3  # in single precision plain56 rounds a thousandth away
    assert error < limit, f"off by {error:.2%} of the largest number"


# Each tool takes a network and three images. It raises where the tool fails or gives other numbers than the network.


def slices(net, x):
    """`net[:-1]` and `net[-1:]` are an `nn.Sequential` each, and one after the other they give the logits."""
    rest, last = net[:-1], net[-1:]
    assert type(rest) is type(last) is nn.Sequential and len(rest) == len(net) - 1
    close(last(rest(x)), net(x))


def copies(net, x):
    """`copy.deepcopy` and `pickle`: the copy gives the logits."""
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        close(other(x), net(x))


def keyword(net, x):
    """`net(input=images)`, for GoogLeNet and Inception v3 `net(x=images)`."""
    name, = [name for name in inspect.signature(net.forward).parameters if name != "heads"]
    close(net(**{name: x}), net(x))


def safetensors(net, x):
    """`save_model` and `load_model`, with the weights in either memory format."""
    from safetensors.torch import load_model, save_model

    y = net(x)
    with tempfile.TemporaryDirectory() as folder:
        for memory_format in (torch.channels_last, torch.contiguous_format):
            save_model(net.to(memory_format=memory_format), f"{folder}/net")
            for parameter in net.parameters():
                parameter.detach().zero_()
            load_model(net, f"{folder}/net")
            close(net(x), y)


def export(net, x):
    """`torch.export` with a dynamic batch: exported with two images, run with three and with one. PyTorch 2.6 refuses a
    slice such as `x[:, :, ::2]` where the batch has no upper bound."""
    program = torch.export.export(net, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch", max=4096)},)).module()
    for images in (x, x[:1]):
        close(program(images), net(images))


def onnx(net, x):
    """`torch.onnx.export` with a dynamic batch, exported with two images; the file is run in onnxruntime with
    three and with one. Height and width stay fixed: with a dynamic height, PyTorch 2.15 writes
    `nn.AdaptiveAvgPool2d(7)` for the size of the example, without a warning, and other sizes come out wrong.
    """
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        torch.onnx.export(net, (x[:2],), f"{folder}/net.onnx", dynamic_shapes=({0: "batch"},), verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(f"{folder}/net.onnx", options)
        for images in (x, x[:1]):
            logits, = session.run(None, {session.get_inputs()[0].name: images.numpy()})
            close(torch.from_numpy(logits), net(images))


def compiled(net, x):
    """`torch.compile` with a dynamic batch and as one graph: logits, and in double precision the gradient of the
    images."""
    torch.compiler.reset()
    model = torch.compile(net, fullgraph=True, dynamic=True)
    for images in (x[:2], x):
        with torch.no_grad():
            close(model(images), net(images))
    net, x = net.double(), x.double()
    for images in (x[:2], x):
        images.requires_grad_()
        close(*(torch.autograd.grad(y(images).square().sum(), images)[0] for y in (model, net)))


def fx(net, x):
    """`torch.fx.symbolic_trace`: the graph gives the logits of three images and of one."""
    graph = torch.fx.symbolic_trace(net)
    for images in (x, x[:1]):
        close(graph(images), net(images))


def extractor(net, x):
    """torchvision's `create_feature_extractor` on the last stage but one."""
    from torchvision.models.feature_extraction import create_feature_extractor

    *_, (stage, wanted), _ = activations(net, x).items()
    close(create_feature_extractor(net, [stage])(x)[stage], wanted)


def per_sample(net, x):
    """`torch.func`: the gradients of each image's loss by `vmap` and `grad`, against one image after the other."""
    net, x, labels = net.double(), x[:2].double(), torch.arange(2)
    parameters = dict(net.named_parameters())

    def loss(parameters, image, label):
        return F.cross_entropy(functional_call(net, parameters, image[None]), label[None])

    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, labels)
    for i, label in enumerate(labels):
        wanted = torch.autograd.grad(loss(parameters, x[i], label), [*parameters.values()])
        for gradients, gradient in zip(found.values(), wanted, strict=True):
            close(gradients[i], gradient)


def jvp(net, x):
    """`torch.func.jvp`: the change of the logits along a random step, against the gradient times the step."""
    net, x = net.double(), x.double()
    step = torch.randn_like(x)
    logits, change = torch.func.jvp(net, (x,), (step,))
    close(logits, net(x))
    gradient, = torch.autograd.grad(net(x.requires_grad_())[:, 0].sum(), x)
    close(change[:, 0], (gradient * step).sum((1, 2, 3)))


def second(net, x):
    """A gradient differentiated again along a random step, against forward over reverse mode of `torch.func`."""
    net, x = net.double(), x.double()
    step, labels = torch.randn_like(x), torch.arange(len(x))

    def loss(images):
        return F.cross_entropy(net(images), labels)

    wanted = torch.func.jvp(grad(loss), (x,), (step,))[1]
    gradient, = torch.autograd.grad(loss(x.requires_grad_()), x, create_graph=True)
    close(torch.autograd.grad(gradient, x, step)[0], wanted)


class Guided(torch.autograd.Function):
    """ReLU whose backward pass lets only positive gradients through, the definition of guided backpropagation."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return g.clamp(min=0) * (ctx.saved_tensors[0] > 0)


class EveryReLU(TorchFunctionMode):
    """Guided in place of every ReLU, module or function."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return Guided.apply(args[0]) if function in (F.relu, torch.relu) else function(*args, **(kwargs or {}))


def guided(net, x):
    """captum's `GuidedBackprop`, against its definition written out for every ReLU."""
    from captum.attr import GuidedBackprop

    found = GuidedBackprop(net).attribute(x.requires_grad_(), target=0)
    with EveryReLU():
        wanted, = torch.autograd.grad(net(x)[:, 0].sum(), x)
    close(found, wanted)


def deeplift(net, x):
    """captum's `DeepLift` from a black image: the attributions add up to the change of the logit."""
    from captum.attr import DeepLift

    net, x = net.double(), x.double()
    found = DeepLift(net).attribute(x.requires_grad_(), torch.zeros_like(x), target=0)
    close(found.sum((1, 2, 3)), (net(x) - net(torch.zeros_like(x)))[:, 0])


def torchinfo(net, x):
    """`torchinfo.summary` counts all parameters."""
    from torchinfo import summary

    found = summary(net, input_data=x, verbose=0)
    assert found.trainable_params == sum(p.numel() for p in net.parameters())


TOOLS = {tool.__name__: tool for tool in (slices, copies, keyword, safetensors, export, onnx, compiled, fx, extractor,
                                          per_sample, jvp, second, deeplift, guided, torchinfo)}
PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "safetensors", "captum", "torchinfo")


def outcome(tool: str, net: nn.Module, images: Tensor) -> str:
    """Empty, or why the tool fails. The network and the images stay as they are."""
    try:
        TOOLS[tool](copy.deepcopy(net), images.clone())
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ""


def results() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"outcomes": {}}


def measure(names: list[str], tools: list[str]) -> None:
    for name in names:
        found = results()
        versions = {package: version(package) for package in PACKAGES}
        if versions != found.setdefault("versions", versions):
            raise SystemExit(f"{RESULTS} was made with other versions, {found['versions']}: delete it and begin anew")
        net, images = built(name)
        found["outcomes"].setdefault(name, {}).update({tool: outcome(tool, net, images) for tool in tools})
        print(name, found["outcomes"][name], flush=True)
        RESULTS.write_text(json.dumps(found, indent=1))


PAGE = """# Networks in other tools

What happens when a network of the course is taken into another tool? Each cell is a trial: {given} of the course's
{all} networks in evaluation mode, He's weights, three random images of the network's own size. *yes* means that the
numbers were compared with the network's own and differ by less than half a per cent of the largest (derivatives, in
double precision, by less than a millionth); *no* that they do not; an empty cell was not tried. Rounding alone moves
the logits of `plain56` by 0.09 %.

{table}

Measured with {versions}. A test repeats what is quick.

## What was compared

{tools}

## What to mind

- **Export is right when the exported file was run,** and with another number of images than it was exported with. The
  exporter to ONNX drops `divisor_override` of an average pooling without a word, and a sum becomes a mean. So
  `lenet5_1998` multiplies the mean by four.
- **Local response normalisation is the written-out formula** wherever PyTorch records or transforms what is computed.
  The layer's fast form, which works in place on one image after the other, is for plain training and evaluation.
- **`net[:-1]` is the network without its last stage,** a plain `nn.Sequential`. It does not look at the images any
  more. GoogLeNet and Inception v3 refuse slices if they were built with auxiliary heads.
- **A graph of torch.fx has the logits alone,** also where `heads=True` is asked of it.
- **Batch normalisation in training mixes the images of a batch,** so that a single image has no gradient of its own.
  PyTorch refuses `vmap` there; call `net.eval()` first.
- **DeepLift needs a rule for each layer that is not linear.** captum has none for local response normalisation,
  PyTorch's own included, nor for the scaled tanh and the squares of `lenet5_1998`, and takes their gradient instead.
  In GoogLeNet, Inception v3 and VGG with batch normalisation the attributions do not add up either, nor quite in
  `alexnet_owt` (0.6 % off), and in torchvision's GoogLeNet they vanish. `return_convergence_delta=True` shows it.
- **safetensors' `save_file` refuses weights in channels_last;** `save_model` takes them.
- **torch.compile takes long the first time:** 19 seconds of processor time for LeNet-5, 45 for `alexnet_small`.
- **In single precision a compiled network may have another gradient of its images.** Rounding decides which of two
  nearly equal pixels of a pooling window is the largest, or on which side of zero a ReLU's input lies. In VGG-16 the
  logits agreed to 2 millionths, and the gradients of one pixel in a hundred were apart, by up to 2.5 % of the largest.
  In double precision they agree, and so the cells compare those.
"""
RESULT = results()


def page() -> str:
    rows = [("network", *TOOLS), ["---"] * (1 + len(TOOLS))]
    for name in MODELS:
        if (tried := RESULT["outcomes"].get(name)) is None:
            continue
        rows.append((f"`{name}`", *("" if tool not in tried else "no" if tried[tool] else "yes" for tool in TOOLS)))
    return PAGE.format(
        given=len(RESULT["outcomes"]), all=len(MODELS), table="\n".join(f"| {' | '.join(row)} |" for row in rows),
        versions=", ".join(f"{name} {number}" for name, number in RESULT["versions"].items()),
        tools="\n".join(f"- *{name}*: {' '.join(tool.__doc__.split())}" for name, tool in TOOLS.items()))


if __name__ == "__main__":
    measure(*(given.split(",") if given else every for given, every in
              zip_longest(sys.argv[1:], (list(MODELS), list(TOOLS)))))
