import torch

from trase_ns.plugin.datamanager import PictureStream


class Pictures:
    """A data set of pictures of 30 bytes that notes what was read."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return 10

    def get_data(self, index, image_type):
        assert image_type == "uint8"
        self.read.append(index)
        return {"image": torch.full((5, 2, 3), index, dtype=torch.uint8), "image_idx": index}


def test_pictures_stay_within_the_budget():
    pictures = Pictures()
    stream = PictureStream(pictures, budget=100)  # three of them
    for index in [0, 1, 2, 0, 3, 0, 1, 3]:
        assert int(stream[index]["image"][0, 0, 0]) == index
    assert pictures.read == [0, 1, 2, 3, 1]  # the one not used for the longest time made room
    assert sum(data["image"].numel() for data in stream._cache.values()) == 90


def test_pictures_larger_than_the_budget_are_not_kept():
    pictures = Pictures()
    stream = PictureStream(pictures, budget=20)
    stream[4], stream[4]
    assert pictures.read == [4, 4]
    assert len(stream) == 10


def test_what_is_kept_is_not_changed_by_who_gets_it():
    stream = PictureStream(Pictures(), budget=100)
    stream[1]["image"] = None
    assert stream[1]["image"] is not None
