"""Words that the reasons of several rules share."""

CLASS_NAMES = {
    "cash": ("现金", "cash"),
    "entity_transfer": ("单位转账", "entity transfers"),
    "person_domestic": ("个人境内转账", "personal domestic transfers"),
    "person_cross_border": ("个人跨境转账", "personal cross-border transfers"),
}
# What reaching a threshold is called, by the operator of the policy.
VERBS = {">=": ("达到", "at or above"), ">": ("超过", "above")}
DIRECTION_NAMES = {"in": ("收入", "in"), "out": ("支出", "out")}


def plural(count: int, noun: str) -> str:
    """`1 transaction`, `2 transactions`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
