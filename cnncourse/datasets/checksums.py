"""The files of the data sets that are downloaded, and whether they are whole. Standard library only."""

import hashlib
from pathlib import Path

MD5 = {
    "mnist": {
        "MNIST/raw/train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "MNIST/raw/train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "MNIST/raw/t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "MNIST/raw/t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion_mnist": {
        "FashionMNIST/raw/train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "FashionMNIST/raw/train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "FashionMNIST/raw/t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    "cifar10": {
        "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
        "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
        "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
        "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    "cifar100": {
        "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
        "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
    },
}
PACKED = {  # as they are published: MD5, and bytes
    "mnist": {
        "MNIST/raw/train-images-idx3-ubyte.gz": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
        "MNIST/raw/train-labels-idx1-ubyte.gz": ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
        "MNIST/raw/t10k-images-idx3-ubyte.gz": ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
        "MNIST/raw/t10k-labels-idx1-ubyte.gz": ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
    },
    "fashion_mnist": {
        "FashionMNIST/raw/train-images-idx3-ubyte.gz": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        "FashionMNIST/raw/train-labels-idx1-ubyte.gz": ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    },
    "cifar10": {"cifar-10-python.tar.gz": ("c58f30108f718f92721af3b95e74349a", 170_498_071)},
    "cifar100": {"cifar-100-python.tar.gz": ("eb9058c3a382ffc7106e4002c42a8d85", 169_001_437)},
}


def digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def look(name: str, root: Path) -> tuple[list[Path], dict[Path, str]]:
    """(missing, damaged): the files of a data set under `root` that are not there, and those that hold other bytes,
    with what they are."""
    missing, damaged = [], {}
    for path, md5 in ((root / file, md5) for file, md5 in MD5[name].items()):
        if not path.is_file():
            missing.append(path)
        elif digest(content := path.read_bytes()) != md5:
            damaged[path] = what(content)
    return missing, damaged


def what(content: bytes) -> str:
    """What is wrong with the content of a file that should hold something else."""
    known = {md5: file for files in MD5.values() for file, md5 in files.items()}
    if file := known.get(digest(content)):
        return f"is {file} under another name"
    return "is a web page" if content[:100].lstrip().lower().startswith((b"<!doctype", b"<html")) else "is damaged"


def read(name: str, file: str, root: Path) -> bytes:
    """A file of a data set. Raises ValueError naming all that are damaged where it is: what is read was verified."""
    content = (root / file).read_bytes()
    if digest(content) != MD5[name][file]:
        faults = [f"{path} {fault}" for path, fault in look(name, root)[1].items()]
        raise ValueError(f"{' and '.join(faults)}: put the right files in their place with "
                         f'cnncourse data get {name} --root "{root}"')
    return content
