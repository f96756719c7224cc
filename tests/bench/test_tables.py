"""Tables, byte for byte, from results that were made by hand."""

import csv
import io
import re

from trase_ns.bench.tables import Column, Row, Table, csv_text, latex, markdown, tables

SCORES = """\
## Methods, means over 2 scenes

| method | mIoU | mAcc | mBIoU | flicker | floaters |
|---|---:|---:|---:|---:|---:|
| trase | **0.900** | **0.945** | **0.450** | 0.100 | 0.250 |
| trase-cgc | 0.865 | 0.943 | 0.432 | 0.100 | 0.250 |
| trase-dgd (1 of 2) | 0.100 | 0.905 | 0.050 | 0.100 | 0.250 |

- trase-dgd (1 of 2): not run: it needs maps. Name them.
"""

BY_SCENE = """\
## mIoU by scene

| method | box_1 | ball | mean |
|---|---:|---:|---:|
| trase | **0.850** | 0.950 | **0.900** |
| trase-cgc | 0.760 | **0.970** | 0.865 |
| trase-dgd (1 of 2) | – | 0.100 | 0.100 |

- trase-dgd (1 of 2): not run: it needs maps. Name them.
"""

BY_OBJECT = """\
## IoU by object: box_1 (one & all)

| method | box | lid |
|---|---:|---:|
| trase | **0.900** | 0.800 |
| trase-cgc | 0.700 | **0.820** |
"""

COSTS = """\
| trase | 10.0 | 2.0 | 1.0 | 900 | 2.00 | **6.0** |
| trase-cgc | **5.5** | 2.0 | 1.0 | 900 | 2.00 | 8.0 |
| trase-dgd (1 of 2) | 10.0 | 2.0 | 1.0 | 900 | 2.00 | 8.0 |
"""

LATEX = r"""\begin{table}
\centering
\caption{mIoU by scene}
\begin{tabular}{lrrr}
\hline
method & box\_1 & ball & mean \\ \hline
trase & \textbf{0.850} & 0.950 & \textbf{0.900} \\
trase-cgc & 0.760 & \textbf{0.970} & 0.865 \\
trase-dgd (1 of 2) & -- & 0.100 & 0.100 \\
\hline
\end{tabular}
\par trase-dgd (1 of 2): not run: it needs maps. Name them.
\end{table}
"""

CSV = """\
scene,method,object,iou,accuracy,boundary_iou,flicker,floaters,gaussians,features_seconds,objects_seconds,\
evaluation_seconds,memory_mb,features_bytes,click_ms,error
box_1,trase,box,0.9,0.945,0.45,0.1,0.25,1200,,,,,,,
box_1,trase,lid,0.8,0.94,0.4,0.1,,1200,,,,,,,
box_1,trase,mean,0.85,0.9425,0.425,0.1,0.25,,10,2,1,900,2000000,8,
"""


def test_markdown(results):
    methods, scenes, box, ball, geometry, costs = tables(results)
    assert markdown([methods]) == SCORES
    assert markdown([scenes]) == BY_SCENE
    assert markdown([box]) == BY_OBJECT
    assert markdown([methods, scenes]) == SCORES + "\n" + BY_SCENE
    assert markdown([ball], level=4).startswith("#### IoU by object: ball\n")
    assert "| box_1 | 31.26 | 0.9512 | – | 12,345 | 3.46 | 61 | 1,500 | 55.5 | 9.9 |\n" in markdown([geometry])
    assert COSTS in markdown([costs])


def test_latex(results):
    assert latex([tables(results)[1]]) == LATEX
    everything = latex(tables(results))
    assert everything.isascii()
    assert everything.count(r"\begin") == everything.count(r"\end") == 12
    for tabular in re.findall(r"\\begin\{tabular\}\{(l r*)\}(.*?)\\end\{tabular\}".replace(" ", ""), everything, re.S):
        columns = len(tabular[0])
        rows = [line for line in tabular[1].splitlines() if "&" in line]
        assert rows
        assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)


def test_characters_that_mean_something_to_latex_or_markdown_are_only_themselves():
    table = Table("50% of a_b & {c} #1 $x$ ~^\\<|>", "a|b", (Column("x|y"),), (Row("r|s", (1.0,), "why|not"),))
    text = latex([table])
    assert r"50\% of a\_b \& \{c\} \#1 \$x\$ \textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    assert r"\textless{}\textbar{}\textgreater{}" in text
    assert "| a\\|b | x\\|y |" in markdown([table])
    assert "| r\\|s | 1.000 |" in markdown([table])


def test_csv(results):
    text = csv_text(results)
    assert text.startswith(CSV)
    rows = list(csv.reader(io.StringIO(text)))
    assert {len(row) for row in rows} == {16}
    failed = next(row for row in rows if row[:2] == ["box_1", "trase-dgd"])
    assert failed[-1] == "not run: it needs maps. Name them."
    assert not any(failed[3:-1])
    assert [row[:2] for row in rows[-3:]] == [["mean", "trase"], ["mean", "trase-cgc"], ["mean", "trase-dgd"]]
    assert float(rows[-3][3]) == 0.9


def test_the_best_is_as_printed_and_a_mean_over_fewer_scenes_is_never_it():
    columns = (Column("more", 1, 1), Column("less", 0, -1), Column("neither", 0))
    rows = (Row("a", (0.51, 1200.0, 1.0)), Row("b", (0.52, None, 2.0)), Row("c", (0.9, 3.0, 3.0), ranked=False))
    rows += (Row("d", (0.1, 1000.0, None)),)
    cells = Table("t", "x", columns, rows).cells()
    assert [[best for _, best in row] for row in cells] == [
        [True, False, False],  # 0.5 like the next
        [True, False, False],
        [False, False, False],
        [False, True, False],
    ]
    assert cells[0][1][0] == "1,200"
    assert cells[1][1][0] == "–"


def test_a_scene_without_any_score_has_no_table_of_objects(results):
    failed = {"error": "no geometry: x"}
    results["scenes"][0]["methods"] = dict.fromkeys(results["methods"], failed)
    results["scenes"][0]["pictures"] = results["scenes"][0]["geometry"] = failed
    captions = [table.caption for table in tables(results)]
    assert not any("box_1" in caption for caption in captions)
    assert "| box_1 | – | – | – | – | – | – | – | – | – |" in markdown(tables(results))
    assert "- box_1: no geometry: x" in markdown(tables(results))
