"""Edits, selection and copies follow the Gaussians through a densification."""

from dataclasses import replace

import torch

from trase_ns.editing import operations
from trase_ns.editing.apply import apply
from trase_ns.editing.edits import Edits, objects_of, segmentation_of
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation


def densified(scene, origin):
    names = ("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "features", "motion")
    return replace(scene, **{name: getattr(scene, name)[origin] for name in names})


def test_edits_follow_densification(edits, rows, scene, other):
    edited = operations.fade(operations.select(edits, rows), rows, 0.5)
    edited = operations.bring_in(edited, other, "other")
    edited = operations.place(edited, edited.selected(), Similarity.about(torch.zeros(3), torch.eye(3), torch.ones(3)))
    edited = operations.duplicate(edited, torch.nn.functional.pad(rows, (0, len(other))), "twin")
    # 12 is split into two at the end, 13 is cloned, 5 and 14 are gone.
    origin = torch.tensor([i for i in range(30) if i not in (5, 12, 14)] + [13, 12, 12])
    new = edited.resampled(origin)
    assert new.trained == 30
    before, after = apply(edited, scene).at(0.4), apply(new, densified(scene, origin)).at(0.4)
    # Rows: trained, those of `other`, then the copy of 10 ... 19 less 14 with two of 12 and of 13.
    expected_rows = [*origin.tolist(), *range(30, 37), *[37 + k for k in (0, 1, 2, 2, 3, 3, 5, 6, 7, 8, 9)]]
    for name in ("means", "opacities", "sh"):
        torch.testing.assert_close(getattr(after, name), getattr(before, name)[expected_rows], msg=name)
    assert torch.equal(new.likeness, edited.likeness[expected_rows])
    members = {entry.name: len(entry) for entry in new.objects}
    assert members == {"thing 0": 9, "thing 1": 11, "thing 2": 10, "other": 7, "twin": 11}


def test_a_densification_that_keeps_all_changes_nothing(edits, rows):
    edited = operations.duplicate(operations.hide(edits, rows), rows, "twin")
    new = edited.resampled(torch.arange(30))
    for name, column in edited.columns.items():
        assert torch.equal(getattr(new, name), column), name


def test_the_filter_is_a_threshold_on_likeness(edits, rows):
    likeness = torch.linspace(-1, 1, len(rows))
    edited = operations.select(edits, rows, likeness)
    assert torch.equal(edited.selected(), rows)
    assert torch.equal(edited.selected(0.1), rows & (likeness >= 0.1))


def test_objects_of_a_segmentation_and_back():
    members = [torch.arange(6), torch.tensor([2, 3]), torch.arange(8, 10)]
    segmentation = Segmentation.from_members(members, 12, torch.tensor([0.9, 0.8, 0.7]))
    again = segmentation_of(Edits.none(12, objects_of(segmentation)))
    assert torch.equal(again.labels, segmentation.labels)
    assert torch.equal(again.parents, segmentation.parents)
    torch.testing.assert_close(again.palette, segmentation.palette)
    torch.testing.assert_close(again.support, segmentation.support)
