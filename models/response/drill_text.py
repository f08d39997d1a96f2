"""What is said of a drill's score, in Chinese and English."""

from collections import Counter

from models.response.drill_score import DrillScore, Outcome
from models.response.pack_text import Language

OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "in_time": ("按时", "in time"),
    "late": ("迟", "late"),
    "missed": ("未做", "missed"),
    "dismissed": ("误排除", "dismissed"),
    "open": ("待办", "still to do"),
}


def outcome_text(outcome: Outcome, language: Language) -> str:
    """An outcome as a person reads it."""
    zh, en = OUTCOMES[outcome]
    return zh if language == "zh" else en


def verdict_text(score: DrillScore, language: Language) -> str:
    """The verdict in a sentence."""
    counts, total = Counter(score.outcomes), len(score.outcomes)
    rest = [
        f"{counts[one]}步{outcome_text(one, 'zh')}" if language == "zh" else f"{counts[one]} {outcome_text(one, 'en')}"
        for one in OUTCOMES
        if one != "in_time" and counts[one]
    ]
    if language == "zh":
        done = f"共{total}步，按时完成{score.achieved}步" + "".join(f"，{one}" for one in rest)
        return {
            "nothing": f"演练未见预警：{done}。",
            "passed": f"演练通过：{done}。",
            "under_way": f"演练进行中：{done}。",
            "not_passed": f"演练未通过：{done}。",
        }[score.verdict]
    done = f"{score.achieved} of {total} {'step' if total == 1 else 'steps'} in time"
    done += "".join(f", {one}" for one in rest)
    return {
        "nothing": f"No warning came: {done}.",
        "passed": f"Passed: {done}.",
        "under_way": f"Under way: {done}.",
        "not_passed": f"Not passed: {done}.",
    }[score.verdict]
