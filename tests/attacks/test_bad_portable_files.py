"""Portable files that are damaged or made to do harm: each is one message that names the file and what is wrong."""

import copy
import json
import random
import resource
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from trase_ns.errors import UserError
from trase_ns.scene.arrangement import Arrangement, Part
from trase_ns.scene.camera import Camera
from trase_ns.scene.clock import backwards
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.portable import Portable, read_portable, write_portable
from trase_ns.scene.similarity import Similarity
from trase_ns.scene.splat import read_splat
from trase_ns.segmentation.objects import Segmentation

N = 20


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A whole file with all that there can be: a field within an arrangement, objects, names, a camera, a world."""
    torch.manual_seed(0)
    field = DeformationField(depth=2, width=8, position_bands=1, time_bands=1)
    number = torch.arange(N)
    parts = [Part(field, None), Part(field, None, (backwards(),))]
    arranged = Arrangement(parts, number % 2, number, [Similarity.identity()], torch.zeros_like(number))
    scene = DynamicGaussians(
        torch.randn(N, 3), torch.randn(N, 4), torch.randn(N, 3), torch.randn(N), torch.randn(N, 3),
        torch.randn(N, 3, 3), torch.randn(N, 4), arranged, number,
    )  # fmt: skip
    objects = Segmentation.from_members([number[:10], number[2:5]], N, features=scene.features, summary={"a": 1})
    camera = Camera(torch.eye(4), torch.tensor([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]]), 64, 48)
    path = tmp_path_factory.mktemp("good") / "good.safetensors"
    write_portable(
        path,
        Portable(scene, objects.to_state(), ("a", "b"), (camera,), (0, 0, 0), 24.0, 2.0, Similarity.identity()),
    )
    return path


def parts_of(path):
    """Tensors and header of a file."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return load_file(path), json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["trase_scene"])


def refused(path):
    """The one message that reading `path` gives."""
    with pytest.raises(UserError) as caught:
        read_portable(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 700
    return message


def write(tmp_path, tensors, header):
    path = tmp_path / "bad.safetensors"
    text = header if isinstance(header, str) else json.dumps(header)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, path, {"trase_scene": text})
    return path


def raw(tmp_path, header, data=b""):
    """A file with a safetensors header as it is given."""
    path = tmp_path / "bad.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_the_good_one_is_read(good):
    assert len(read_portable(good).scene) == N


def test_no_file(tmp_path):
    assert "no such file" in refused(tmp_path / "missing.safetensors")
    assert "no such file" in refused(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"ply\n", bytes(range(256)) * 4, struct.pack("<Q", 2**63) + b"{}", b"\0" * 99]
)
def test_what_is_no_safetensors_file(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    assert "cannot read" in refused(path)


def test_every_truncation_is_noticed(good, tmp_path):
    whole = good.read_bytes()
    path = tmp_path / "bad.safetensors"
    for length in [*range(0, 64), *range(64, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert "cannot read" in refused(path)


@pytest.mark.parametrize(
    "claim",
    [
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]},
        {"dtype": "F32", "shape": [10**12, 3], "data_offsets": [0, 12]},
        {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 12]},
        {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 12]},
        {"dtype": "F32", "shape": [3], "data_offsets": [12, 0]},
        {"dtype": "object", "shape": [3], "data_offsets": [0, 12]},
    ],
)
def test_claims_beyond_the_file_take_no_memory(tmp_path, claim):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    header = {"__metadata__": {"trase_scene": json.dumps({"version": 1, "field": None})}, "means": claim}
    refused(raw(tmp_path, header, b"\0" * 12))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_safetensors_file_of_something_else(tmp_path):
    path = tmp_path / "bad.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "no portable scene" in refused(path)


def change(*keys, to):
    def do(tensors, header):
        place = header
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return do


def put(name, make):
    def do(tensors, header):
        tensors[name] = make(tensors.get(name))

    return do


def drop(name):
    return lambda tensors, header: tensors.pop(name)


def holed(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[-1] = float("nan")
    return tensor


PART = ("field", "spec", "parts", 0, "field")

HARM = {
    "newer": (change("version", to=2), "version 2 of the format, which is newer than this program's (1)"),
    "no version": (change("version", to="1"), "no version"),
    "negative version": (change("version", to=-1), "no version"),
    "tensor missing": (drop("quats"), "no tensor quats"),
    "tensor too many": (put("x" * 5000, lambda _: torch.zeros(1)), "unknown tensor 'xxx"),
    "wrong shape": (put("quats", lambda t: t[:, :3]), "quats must be float32 [20, 4], not float32 [20, 3]"),
    "wrong count": (put("sh0", lambda t: t[:5]), "sh0 must be"),
    "wrong type": (put("means", lambda t: t.double()), "means must be float32"),
    "odd type": (put("means", lambda t: t.to(torch.float8_e4m3fn)), "of type float8"),
    "booleans": (put("logit_opacities", lambda t: t > 0), "of type bool"),
    "NaN": (put("means", holed), "1 of 20 Gaussians have values that are not finite"),
    "huge scales": (put("log_scales", lambda t: t + 100), "not finite"),
    "NaN in the field": (put("field.parts.0.field.heads.bias", holed), "not finite"),
    "no Gaussians": (put("means", lambda t: t[:0]), "no Gaussians"),
    "unknown field": (change("field", "kind", to="builtins.eval"), "unknown kind of field 'builtins.eval'"),
    "field of a number": (change("field", to=3), "needs kind and spec"),
    "no field": (change("field", to=None), "no field"),
    "absurd depth": (change(*PART, "spec", "depth", to=10**12), "depth of the field must be from 1 to 64"),
    "absurd width": (change(*PART, "spec", "width", to=10**12), "width of the field"),
    "width of another": (change(*PART, "spec", "width", to=4096), "of a wrong shape"),
    "depth as text": (change(*PART, "spec", "depth", to="2"), "depth of the field"),
    "unknown argument": (change(*PART, "spec", "code", to="x"), "needs depth"),
    "motion beyond": (put("motion", lambda t: t + 10**15), "motion"),
    "motion of floats": (put("motion", lambda t: t.float()), "motion"),
    "speed without end": (change("field", "spec", "parts", 1, "clock", 0, "speed", to=float("nan")), "finite"),
    "names too few": (change("names", to=["a"]), "a name for each of the 2 objects"),
    "name of a number": (change("names", to=[1, 2]), "is no name"),
    "long name": (change("names", to=["a", "b" * 10_000]), "is no name"),
    "name with an escape": (change("names", to=["a", "\x1b[2J"]), "is no name"),
    "name of half a character": (change("names", to=["a", "\ud800"]), "is no name"),
    "cameras without end": (change("cameras", to=[None] * 20_000), "at most"),
    "no camera": (change("cameras", to=["x"]), "camera 0 needs viewmat"),
    "singular camera": (change("cameras", 0, "viewmat", to=[[0] * 4] * 4), "no rotation"),
    "mirrored camera": (change("cameras", 0, "viewmat", 0, 0, to=-1), "no rotation"),
    "camera with NaN": (change("cameras", 0, "K", 0, 0, to=float("nan")), "K of camera 0"),
    "camera of a huge number": (change("cameras", 0, "K", 0, 0, to=10**400), "K of camera 0"),
    "flat camera": (change("cameras", 0, "K", 0, 0, to=0), "no pinhole"),
    "huge picture": (change("cameras", 0, "width", to=10**9), "width of camera 0"),
    "background of words": (change("background", to="red"), "background"),
    "endless duration": (change("duration", to=float("inf")), "duration"),
    "no frames": (change("fps", to=0), "fps"),
    "true frames": (change("fps", to=True), "fps"),
    "crooked world": (change("data_world", "rotation", 0, 1, to=5), "data_world is no rotation"),
    "world of nothing": (change("data_world", "scale", to=0), "scale of data_world"),
    "objects without summary": (change("objects", to=None), "summary"),
    "summary of a list": (change("objects", to=[1]), "summary"),
    "object tensor missing": (drop("objects.labels"), "the objects must be"),
    "object tensor too many": (put("objects.more", lambda _: torch.zeros(1)), "the objects must be"),
    "object beyond the scene": (put("objects.indices", lambda t: t + 15), "Gaussians of the scene"),
    "object of negative": (put("objects.indices", lambda t: t - 1), "Gaussians of the scene"),
    "object twice the same": (put("objects.indices", lambda t: t * 0), "ascending"),
    "object of odd sizes": (put("objects.indptr", lambda t: t.flip(0)), "indptr"),
    "object sizes beyond": (put("objects.indptr", lambda t: t * 2**40), "indptr"),
    "labels beyond": (put("objects.labels", lambda t: t + 9), "out of range"),
    "labels of others": (put("objects.labels", lambda t: t[:-1]), "labels of the objects"),
    "own parent": (put("objects.parents", lambda t: torch.arange(2)), "circle"),
    "parents in a circle": (put("objects.parents", lambda t: torch.tensor([1, 0])), "circle"),
    "support of NaN": (put("objects.support", holed), "support of the objects"),
    "support of a number": (put("objects.support", lambda t: t.sum()), "support of the objects"),
    "centres of a number": (put("objects.centres", lambda t: t[:, 0]), "centres of the objects"),
    "deep": (change("more", to=json.loads("[" * 200 + "]" * 200)), "too deeply"),
}  # fmt: skip


@pytest.mark.parametrize("case", HARM)
def test_harm_is_refused(good, tmp_path, case):
    do, said = HARM[case]
    tensors, header = parts_of(good)
    do(tensors, header)
    assert said in refused(write(tmp_path, tensors, header))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"', "[" * 100_000, '{"version": 1}', "9" * 10_000])
def test_headers_that_are_no_header(good, tmp_path, text):
    refused(write(tmp_path, parts_of(good)[0], text))


def test_random_damage_gives_a_scene_or_a_message(good, tmp_path):
    """Bytes changed at random, mostly in the header: never anything but a whole scene or one message."""
    whole = good.read_bytes()
    end = 8 + struct.unpack("<Q", whole[:8])[0]
    chance = random.Random(0)
    path = tmp_path / "bad.safetensors"
    told = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5])):
            data[chance.randrange(end if chance.random() < 0.8 else len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            scene = read_portable(path).scene
        except UserError as error:
            told += str(path) in str(error)
        else:
            told += 1
            scene.at(0.5)
    assert told == 400


def test_random_values_in_the_header_give_a_scene_or_a_message(good, tmp_path):
    """Values of the JSON header replaced, one at a time, by what does not belong there."""
    tensors, header = parts_of(good)
    path = write(tmp_path, tensors, header)
    assert len(read_portable(path).scene) == N

    def places(value, at=()):
        yield at
        for key, child in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            yield from places(child, (*at, key))

    odd = [None, -1, 1e308, 10**30, "", [], {}, [[]], {"a": 1}, True]
    cases = [(at, value) for at in list(places(header))[1:] for value in odd]
    told = 0
    for at, value in random.Random(0).sample(cases, 60):
        harmed = copy.deepcopy(header)
        change(*at, to=value)(tensors, harmed)
        write(tmp_path, tensors, harmed)
        try:
            read_portable(path).scene.at(0.5)
            told += 1
        except UserError as error:
            told += str(path) in str(error)
    assert told == 60


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "0 bytes"), (b"\0" * 31, "31 bytes"), (b"\xff" * 64, "values"), (struct.pack("<8f", *[-1] * 8), "values")],
)
def test_bad_splat_files(tmp_path, content, said):
    path = tmp_path / "bad.splat"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        read_splat(path)
    assert str(path) in str(caught.value)
