"""LightGBM's text format (`Booster.save_model`) to a `Forest`.

Source: LightGBM documentation and `src/io/tree.cpp` (decision_type: bit 0 categorical, bit 1 default left, bits 2 and 3
how a missing value is written: 0 not at all, 1 as zero, 2 as NaN). Everything in the file is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nextpaint.models.trees import Forest, WrongModel

_LINKS = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "lambdarank": "identity",
    "rank_xendcg": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}


@dataclass
class _Nodes:
    """The arrays of a forest while trees are appended."""

    roots: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    decision: list[int] = field(default_factory=list)
    categories: dict[int, frozenset[int]] = field(default_factory=dict)


def parse(text: str) -> tuple[Forest, tuple[str, ...], str, float]:
    """(forest, feature names, link, factor of the score before the link). Raises WrongModel."""
    header, trees = _sections(text)
    if "tree" not in header or "max_feature_idx" not in header:
        raise WrongModel("this is not a LightGBM text model: write it with Booster.save_model(path)")
    if header.get("num_class", "1") != "1":
        raise WrongModel("a multi-class model has several scores per row; train one with a single score")
    names = tuple(header.get("feature_names", "").split())
    if len(names) != _whole(header, "max_feature_idx") + 1:
        raise WrongModel("feature_names does not fit max_feature_idx: the file is damaged")
    words = header.get("objective", "regression").split()
    link = _LINKS.get(words[0])
    if link is None or "sqrt" in words:
        raise WrongModel(f"the objective {' '.join(words)} is not known here; one of {', '.join(_LINKS)}")
    factor = next((float(word[8:]) for word in words if word.startswith("sigmoid:")), 1.0)
    nodes = _Nodes()
    for tree in trees:
        _append(nodes, tree)
    if not nodes.roots:
        raise WrongModel("the model has no trees")
    if "average_output" in header:
        factor /= len(nodes.roots)
    decision = np.array(nodes.decision, np.int64)
    missing = decision >> 2 & 3
    forest = Forest(
        np.array(nodes.roots, np.int64),
        np.array(nodes.feature, np.int64),
        np.array(nodes.threshold, np.float64),
        np.array(nodes.left, np.int64),
        np.array(nodes.right, np.int64),
        np.array(nodes.value, np.float64),
        (decision & 2) > 0,
        missing == 2,
        missing == 1,
        categories=nodes.categories,
    )
    return forest.checked(len(names)), names, link, factor


def _sections(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The header and each tree as key -> text."""
    header: dict[str, str] = {}
    trees: list[dict[str, str]] = []
    for key, value in _lines(text):
        if key == "Tree":
            trees.append({})
        (trees[-1] if trees else header)[key] = value
    return header, trees


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line.strip() == "end of trees":
            return
        key, _, value = line.strip().partition("=")
        if key:
            yield key, value


def _append(nodes: _Nodes, tree: dict[str, str]) -> None:
    leaves = _whole(tree, "num_leaves")
    if tree.get("is_linear", "0").strip() != "0":
        raise WrongModel("linear leaves are not supported: train with linear_tree=false")
    inner = leaves - 1
    start = len(nodes.left)
    values = _numbers(tree, "leaf_value", leaves)
    if inner:
        children = [_integers(tree, name, inner) for name in ("left_child", "right_child")]
        feature, decision = _integers(tree, "split_feature", inner), _integers(tree, "decision_type", inner)
        threshold = _numbers(tree, "threshold", inner)
        sets = _category_sets(tree)
        for index in range(inner):
            if index in (children[0][index], children[1][index]):
                raise WrongModel("a node is its own child: the file is damaged")
            nodes.left.append(_place(children[0][index], start, inner))
            nodes.right.append(_place(children[1][index], start, inner))
            if decision[index] & 1:
                which = int(threshold[index])
                if not 0 <= which < len(sets):
                    raise WrongModel("a split names a set of categories that is not there: the file is damaged")
                nodes.categories[start + index] = sets[which]
        nodes.feature += feature
        nodes.decision += decision
        nodes.threshold += threshold
        nodes.value += [0.0] * inner
    nodes.roots.append(start)
    first = start + inner
    nodes.left += range(first, first + leaves)
    nodes.right += range(first, first + leaves)
    nodes.feature += [0] * leaves
    nodes.decision += [0] * leaves
    nodes.threshold += [0.0] * leaves
    nodes.value += values


def _place(child: int, start: int, inner: int) -> int:
    """A child's absolute node: inner nodes first, then leaves (written as ~leaf)."""
    return start + child if child >= 0 else start + inner + ~child


def _category_sets(tree: dict[str, str]) -> list[frozenset[int]]:
    """The sets behind categorical splits: 32 categories per word, from `cat_boundaries[i]` on."""
    count = int(tree.get("num_cat", "0"))
    if not count:
        return []
    bounds = _integers(tree, "cat_boundaries", count + 1)
    words = _integers(tree, "cat_threshold", bounds[-1])
    sets = []
    for low, high in pairwise(bounds):
        part = words[low:high]
        sets.append(frozenset(32 * i + bit for i, word in enumerate(part) for bit in range(32) if word >> bit & 1))
    return sets


def _whole(section: dict[str, str], key: str) -> int:
    return _integers(section, key, 1)[0]


def _integers(section: dict[str, str], key: str, count: int) -> list[int]:
    try:
        found = [int(word) for word in section.get(key, "").split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise WrongModel(f"{key} does not hold {count} whole numbers: the file is damaged")
    return found


def _numbers(section: dict[str, str], key: str, count: int) -> list[float]:
    try:
        found = [float(word) for word in section.get(key, "").split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise WrongModel(f"{key} does not hold {count} numbers: the file is damaged")
    return found
