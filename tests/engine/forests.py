"""Model files made by hand: LightGBM's text of trees with one split each."""


def lightgbm_text(features, splits, objective="binary sigmoid:1"):
    """`splits`: (feature, threshold, value where at most the threshold, value above)."""
    lines = [
        "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
        f"max_feature_idx={len(features) - 1}", f"objective={objective}", f"feature_names={' '.join(features)}",
        f"feature_infos={' '.join(['[0:1]'] * len(features))}", f"tree_sizes={' '.join(['400'] * len(splits))}", "",
    ]  # fmt: skip
    for number, (feature, threshold, low, high) in enumerate(splits):
        lines += [
            f"Tree={number}", "num_leaves=2", "num_cat=0", f"split_feature={features.index(feature)}", "split_gain=1",
            f"threshold={threshold}", "decision_type=2", "left_child=-1", "right_child=-2",
            f"leaf_value={low} {high}", "leaf_weight=1 1", "leaf_count=1 1", "internal_value=0", "internal_weight=1",
            "internal_count=2", "is_linear=0", "shrinkage=1", "", "",
        ]  # fmt: skip
    lines += ["end of trees", "", "feature_importances:", "", "parameters:", "end of parameters", ""]
    return "\n".join(lines).encode()


# Cheap things first, and among them what is looked at; dear things first.
CHEAP = lightgbm_text(
    ["heat", "price"], [("price", 5.5, 0.5, -2.0), ("price", 10.5, 0.2, -1.0), ("heat", 0.5, 0.0, 0.4)]
)
DEAR = lightgbm_text(["price"], [("price", 5.5, -2.0, 0.5), ("price", 15.5, -1.0, 0.5)])
FOREIGN = lightgbm_text(["heat", "margin"], [("margin", 0.5, 0.0, 1.0)])
