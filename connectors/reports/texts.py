"""The words of a pack, in English and Chinese, and what its figures and members are called."""

from collections.abc import Mapping
from datetime import date

from connectors.account_texts import say
from models.response.happenings import NO_BRANCH
from models.response.kpi import Key, Kpi, Ratio
from models.response.pack import Pack, Topic
from models.response.pack_text import NAMES, Language, period_text

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Risk linkage report",
        "summary": "Key figures",
        "changes": "What changed",
        "no_changes": "No key figure that both periods have something to count for has changed.",
        "not_over": "This period is not over: the newest event is of {day}. What falls due later does not count yet.",
        "definition": "How it is counted",
        "figure": "Figure",
        "counted": "counted",
        "difference": "difference",
        "p50": "median",
        "p95": "95% within",
        "count": "number",
        "by": "by",
        "member": "code",
        "name": "name",
        "unit": "unit",
        "part": "part",
        "whole": "of",
        "by_month": "Completion and timeliness by month",
        "all": "All",
        "none_before": "none",
        "none": "none",
        "ids": "Ids behind the figures",
        "ids_note": "The ids behind the figures of {then} are in the report of that period. Of a list longer than"
        " {most}, the first {most} are shown: liandong report --period {period} --format json has all.",
        "ids_sheet": "Ids",
        "id": "id",
        "counts_as": "counts as",
        "value": "value",
        "more_ids": "… and {count} more; JSON has all.",
        "more_rows": "… and {count} more with less behind them; the workbook has all.",
        "no_room": "A sheet has no more rows: {count} more ids are in the JSON.",
        "of_transactions": "Held against {count} customer transactions, which are not listed.",
        "of_loans": "Held against {count} loans with a step in a month of the period, which are not listed.",
        "policy": "Policy",
        "compared": "compared with",
        "unknown_branch": "no branch known",
        "hours": "hours",
        "seconds": "seconds",
        "of_loans_unit": "of loans",
        "per_transactions": " per 10,000 customer transactions",
        "share": "share",
        "per": "per 10,000",
        "points": "Differences of shares are in percentage points (pp).",
    },
    "zh": {
        "title": "风险联动报告",
        "summary": "主要指标",
        "changes": "变化情况",
        "no_changes": "两期均有可计数据的主要指标没有变化。",
        "not_over": "本期尚未结束：最新事件日期为{day}。之后到期的事项尚未计入。",
        "definition": "统计口径",
        "figure": "指标",
        "counted": "计数",
        "difference": "差异",
        "p50": "中位数",
        "p95": "95%不超过",
        "count": "数量",
        "by": "维度",
        "member": "代码",
        "name": "名称",
        "unit": "单位",
        "part": "分子",
        "whole": "分母",
        "by_month": "按月完成率与签收率",
        "all": "全部",
        "none_before": "无",
        "none": "无",
        "ids": "指标所依据的编号",
        "ids_note": "{then}各指标的编号见该期报告。清单超过{most}个编号时仅列前{most}个，"
        "全部编号见 liandong report --period {period} --format json。",
        "ids_sheet": "编号",
        "id": "编号",
        "counts_as": "计为",
        "value": "数值",
        "more_ids": "……另有{count}个，全部见JSON。",
        "more_rows": "……另有{count}项，依据较少，全部见工作簿。",
        "no_room": "工作表已满：另有{count}个编号见JSON。",
        "of_transactions": "以{count}笔客户交易为分母，不逐笔列出。",
        "of_loans": "以本期各月有变动的{count}笔贷款为分母，不逐笔列出。",
        "policy": "政策",
        "compared": "对比",
        "unknown_branch": "机构不明",
        "hours": "小时",
        "seconds": "秒",
        "of_loans_unit": "占贷款",
        "per_transactions": "每万笔客户交易的",
        "share": "比率",
        "per": "每万笔",
        "points": "比率的差异以百分点表示。",
    },
}
BY: Mapping[Language, Mapping[str, str]] = {
    "en": {"all": "all", "department": "department", "branch": "branch", "detector": "detector"},
    "zh": {"all": "全部", "department": "部门", "branch": "机构", "detector": "检测规则"},
}
GROUPS: Mapping[Language, Mapping[str, str]] = {
    "en": {"department": "by department", "branch": "by branch", "detector": "by detector"},
    "zh": {"department": "按部门", "branch": "按机构", "detector": "按检测规则"},
}
TITLES: Mapping[Language, Mapping[Topic, str]] = {
    "en": {
        "joint_work": "Joint work",
        "timeliness": "Timeliness of information",
        "clocks": "Clocks",
        "risk_events": "Risk events",
        "false_positives": "False alarms",
        "complaints": "Complaints",
        "faults": "Faults and clearing exceptions",
    },
    "zh": {
        "joint_work": "联动工作",
        "timeliness": "信息时效",
        "clocks": "用时",
        "risk_events": "风险事件",
        "false_positives": "误报",
        "complaints": "投诉",
        "faults": "系统故障与清算异常",
    },
}
# A section without anything to count says so.
EMPTY: Mapping[Language, Mapping[Topic, str]] = {
    "en": {
        "joint_work": "Nothing was due.",
        "timeliness": "Nothing was to be acknowledged.",
        "clocks": "No warning was raised, and no task acknowledged or finished.",
        "risk_events": "No case was confirmed, and no customer transaction came in.",
        "false_positives": "No case was decided.",
        "complaints": "Nobody complained, and no customer transaction came in.",
        "faults": "IT and clearing acknowledged and finished no task.",
    },
    "zh": {
        "joint_work": "没有到期的任务。",
        "timeliness": "没有应签收的任务。",
        "clocks": "没有预警，也没有签收或办结的任务。",
        "risk_events": "没有确认的案件，也没有客户交易。",
        "false_positives": "没有作出结论的案件。",
        "complaints": "没有投诉，也没有客户交易。",
        "faults": "科技部与清算部没有签收或办结的任务。",
    },
}
DEFINITIONS: Mapping[Language, Mapping[Topic, str]] = {
    "en": {
        "joint_work": "Tasks whose deadline, frozen when they were opened, lies in the period; finished by it. A joint"
        " case has tasks of several departments: all of them must have been finished in time.",
        "timeliness": "Tasks whose time to acknowledge ran out in the period; acknowledged by then.",
        "clocks": "From event to arrival and to warning: of warnings on events of the period. The others: of tasks"
        " acknowledged, or finished, in the period. A day has 24 hours.",
        "risk_events": "Cases decided in the period that were not dismissed, held against customers' own transactions;"
        " for credit, against loans with a step in the period.",
        "false_positives": "Cases decided in the period; dismissed by two employees. A case counts for each detector"
        " that warned.",
        "complaints": "Complaints reported in the period, held against customers' own transactions.",
        "faults": "Tasks of IT and of clearing: time to acknowledge, and time until the fault was removed.",
    },
    "zh": {
        "joint_work": "期限在任务创建时固定；期限落在本期的任务中，按期办结的比率。"
        "联合案件涉及多个部门，须各部门任务均按期办结。",
        "timeliness": "签收期限落在本期的任务中，按时签收的比率。",
        "clocks": "到达与预警用时按本期事件的预警统计；其余按本期签收或办结的任务统计。一天按24小时计。",
        "risk_events": "本期作出结论且未排除的案件，以客户自主交易为分母；信贷以本期有变动的贷款为分母。",
        "false_positives": "本期作出结论的案件中，经双人复核排除的比率。案件计入每条发出预警的规则。",
        "complaints": "本期上报的投诉，以客户自主交易为分母。",
        "faults": "科技部与清算部的任务：签收用时，以及排除故障用时。",
    },
}
# What the ids above the line of a share are, and those that are only below it.
PARTS: Mapping[Language, Mapping[Kpi, tuple[str, str]]] = {
    "en": {
        "completion": ("finished in time", "not finished in time"),
        "joint_completion": ("finished in time", "not finished in time"),
        "timeliness": ("acknowledged in time", "not acknowledged in time"),
        "false_positives": ("false alarms", "confirmed"),
        "risk_events": ("confirmed", ""),
        "complaints": ("complaints", ""),
    },
    "zh": {
        "completion": ("按期办结", "未按期办结"),
        "joint_completion": ("按期办结", "未按期办结"),
        "timeliness": ("按时签收", "未按时签收"),
        "false_positives": ("误报", "确认"),
        "risk_events": ("确认", ""),
        "complaints": ("投诉", ""),
    },
}


def member_text(key: Key, language: Language) -> str:
    """What a figure is over: a department or detector by its name, a branch by its id; empty for all."""
    if key.by == "branch":
        return WORDS[language]["unknown_branch"] if key.member == NO_BRANCH else key.member
    if key.by == "all":
        return ""
    name = say(key.member, language)
    if language == "en":
        name = "IT" if key.member == "it" else name.capitalize()
    if key.kpi == "risk_events":  # by department these are held against loans, unlike all others
        name += f" ({WORDS['en']['of_loans_unit']})" if language == "en" else f"（{WORDS['zh']['of_loans_unit']}）"
    return name


def figure_text(key: Key, language: Language) -> str:
    """A figure's whole name: `Tasks finished in time: Risk`."""
    name, member = NAMES[language][key.kpi], member_text(key, language)
    if key.kpi == "risk_events" and key.by == "department":
        name = name.removesuffix(WORDS[language]["per_transactions"]).removeprefix(WORDS[language]["per_transactions"])
    return name if not member else f"{name}: {member}" if language == "en" else f"{name}：{member}"


def whole_text(key: Key, ratio: Ratio, language: Language) -> str:
    """What a rate is held against, where that is only a number."""
    words = "of_loans" if key.by == "department" else "of_transactions"
    return WORDS[language][words].format(count=f"{ratio.count:,}")


def day_text(day: date, language: Language) -> str:
    """A day as people write it: `1 July 2026`."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def span_of(pack: Pack, language: Language) -> str:
    """The period's first and last day."""
    first, last = day_text(pack.period.first, language), day_text(pack.period.last, language)
    return f"{first} to {last}" if language == "en" else f"{first}至{last}"


def heading(pack: Pack, language: Language) -> str:
    """What a pack is called: `Risk linkage report 2026-Q3`."""
    name, title = period_text(pack.period, language), WORDS[language]["title"]
    return f"{title} {name}" if language == "en" else f"{name}{title}"


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
