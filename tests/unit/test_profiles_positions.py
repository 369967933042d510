"""The place of each key in a TOML text, in all the ways TOML has of writing it."""

import tomllib

import pytest

from pinprick.profiles.positions import Path, path_text, positions

TEXT = '''\
# [not.a.header] key = 1
top = 1 # [nor] this

"quoted key" = 2
'literal.key' = 3
"esc\\u0041ped" = 4
dotted . "x.y" .z = 5

[table] # comment = 1
  indented = """
[in.a.string]
key = 1
quotes at the end: ""\\""""" # a = 1
after = \'\'\'
'''  # fmt: skip
TEXT += "'' [still] \\ = in ''''' # the string\n"
TEXT += r'''basic = "a \" # = [ ] \\" # end
literal = 'a \' # end
list = [ 1, # one
  "two", [ 3 ],
  { a = 4, b.c = [5] }, ]
inline = { x = { y = 1 }, "z w" = "}" }
date = 1979-05-27 07:32:00 # a blank inside
last = true

[[zone]]
depth = 1

[zone.sub]
key = 1

[[zone]]
[[zone.part]]
a = 1
[[zone.part]]
a = 2
  [ "spaced" . name ] # spaced
key = 1
[deep.below]
[deep]
own = 1
empty = {}
none = []
'''  # fmt: skip

PLACES: dict[Path, tuple[int, int]] = {
    ("top",): (2, 1),
    ("quoted key",): (4, 1),
    ("literal.key",): (5, 1),
    ("escAped",): (6, 1),
    ("dotted",): (7, 1),
    ("dotted", "x.y"): (7, 10),
    ("dotted", "x.y", "z"): (7, 17),
    ("table",): (9, 1),
    ("table", "indented"): (10, 3),
    ("table", "after"): (14, 1),
    ("table", "basic"): (16, 1),
    ("table", "literal"): (17, 1),
    ("table", "list"): (18, 1),
    ("table", "list", 0): (18, 10),
    ("table", "list", 1): (19, 3),
    ("table", "list", 2): (19, 10),
    ("table", "list", 2, 0): (19, 12),
    ("table", "list", 3): (20, 3),
    ("table", "list", 3, "a"): (20, 5),
    ("table", "list", 3, "b"): (20, 12),
    ("table", "list", 3, "b", "c"): (20, 14),
    ("table", "list", 3, "b", "c", 0): (20, 19),
    ("table", "inline"): (21, 1),
    ("table", "inline", "x"): (21, 12),
    ("table", "inline", "x", "y"): (21, 18),
    ("table", "inline", "z w"): (21, 27),
    ("table", "date"): (22, 1),
    ("table", "last"): (23, 1),
    ("zone",): (25, 1),
    ("zone", 0): (25, 1),
    ("zone", 0, "depth"): (26, 1),
    ("zone", 0, "sub"): (28, 1),
    ("zone", 0, "sub", "key"): (29, 1),
    ("zone", 1): (31, 1),
    ("zone", 1, "part"): (32, 1),
    ("zone", 1, "part", 0): (32, 1),
    ("zone", 1, "part", 0, "a"): (33, 1),
    ("zone", 1, "part", 1): (34, 1),
    ("zone", 1, "part", 1, "a"): (35, 1),
    ("spaced",): (36, 3),
    ("spaced", "name"): (36, 3),
    ("spaced", "name", "key"): (37, 1),
    ("deep",): (39, 1),
    ("deep", "below"): (38, 1),
    ("deep", "own"): (40, 1),
    ("deep", "empty"): (41, 1),
    ("deep", "none"): (42, 1),
}


def test_every_way_of_writing_a_key() -> None:
    tomllib.loads(TEXT)
    assert positions(TEXT) == PLACES


@pytest.mark.parametrize("text", ["", "\n", "# only this", "\n\n# this\n\n", "# no newline at the end\n# at all"])
def test_nothing_to_find(text: str) -> None:
    assert positions(text) == {}


def test_no_newline_at_the_end() -> None:
    assert positions("a = 1\nb = 'c'") == {("a",): (1, 1), ("b",): (2, 1)}


def test_windows_line_ends() -> None:
    text = 'a = 1\r\n\r\nb = """\r\n\r\n"""\r\nc = [\r\n1]\r\n'
    assert positions(text) == {("a",): (1, 1), ("b",): (3, 1), ("c",): (6, 1), ("c", 0): (7, 1)}


def test_paths_as_people_read_them() -> None:
    assert path_text(("zone", 3, "depth_mm")) == "zone[3].depth_mm"
    assert path_text(("course", "index")) == "course.index"
    assert path_text(()) == ""
