"""Names and ranges of the industry schemes, as data.

Sources: GB/T 4754-2017, 国民经济行业分类 (sections and the ranges of their divisions; the divisions' own names are in
`industry_divisions`); North American Industry Classification System, United States, 2022 (all 20 two-digit sectors,
the same as in 2017; 99 is none of them but what the Census Bureau writes for unclassified establishments).
"""

from typing import Literal

Names = dict[Literal["zh", "en"], str]

UNKNOWN_NAMES: Names = {"zh": "行业不明", "en": "Unknown industry"}

# First and last two-digit division of each section.
DIVISIONS: dict[str, tuple[int, int]] = {
    "A": (1, 5),
    "B": (6, 12),
    "C": (13, 43),
    "D": (44, 46),
    "E": (47, 50),
    "F": (51, 52),
    "G": (53, 60),
    "H": (61, 62),
    "I": (63, 65),
    "J": (66, 69),
    "K": (70, 70),
    "L": (71, 72),
    "M": (73, 75),
    "N": (76, 79),
    "O": (80, 82),
    "P": (83, 83),
    "Q": (84, 85),
    "R": (86, 90),
    "S": (91, 96),
    "T": (97, 97),
}

SECTION_NAMES: dict[str, Names] = {
    "A": {"zh": "农、林、牧、渔业", "en": "Agriculture, forestry, animal husbandry and fishery"},
    "B": {"zh": "采矿业", "en": "Mining"},
    "C": {"zh": "制造业", "en": "Manufacturing"},
    "D": {"zh": "电力、热力、燃气及水生产和供应业", "en": "Electricity, heat, gas and water supply"},
    "E": {"zh": "建筑业", "en": "Construction"},
    "F": {"zh": "批发和零售业", "en": "Wholesale and retail trade"},
    "G": {"zh": "交通运输、仓储和邮政业", "en": "Transport, storage and post"},
    "H": {"zh": "住宿和餐饮业", "en": "Hotels and catering"},
    "I": {"zh": "信息传输、软件和信息技术服务业", "en": "Information transmission, software and IT services"},
    "J": {"zh": "金融业", "en": "Finance"},
    "K": {"zh": "房地产业", "en": "Real estate"},
    "L": {"zh": "租赁和商务服务业", "en": "Leasing and business services"},
    "M": {"zh": "科学研究和技术服务业", "en": "Scientific research and technical services"},
    "N": {"zh": "水利、环境和公共设施管理业", "en": "Water conservancy, environment and public facilities"},
    "O": {"zh": "居民服务、修理和其他服务业", "en": "Household services, repair and other services"},
    "P": {"zh": "教育", "en": "Education"},
    "Q": {"zh": "卫生和社会工作", "en": "Health and social work"},
    "R": {"zh": "文化、体育和娱乐业", "en": "Culture, sports and entertainment"},
    "S": {"zh": "公共管理、社会保障和社会组织", "en": "Public management, social security and social organisations"},
    "T": {"zh": "国际组织", "en": "International organisations"},
}

NAICS_NAMES: dict[str, Names] = {
    "11": {"zh": "农林渔猎业", "en": "Agriculture, forestry, fishing and hunting"},
    "21": {"zh": "采矿、采石和油气开采业", "en": "Mining, quarrying, and oil and gas extraction"},
    "22": {"zh": "公用事业", "en": "Utilities"},
    "23": {"zh": "建筑业", "en": "Construction"},
    "31-33": {"zh": "制造业", "en": "Manufacturing"},
    "42": {"zh": "批发业", "en": "Wholesale trade"},
    "44-45": {"zh": "零售业", "en": "Retail trade"},
    "48-49": {"zh": "运输和仓储业", "en": "Transportation and warehousing"},
    "51": {"zh": "信息业", "en": "Information"},
    "52": {"zh": "金融和保险业", "en": "Finance and insurance"},
    "53": {"zh": "房地产和租赁业", "en": "Real estate and rental and leasing"},
    "54": {"zh": "专业、科学和技术服务业", "en": "Professional, scientific and technical services"},
    "55": {"zh": "公司和企业管理", "en": "Management of companies and enterprises"},
    "56": {
        "zh": "行政、支持、废物管理及治理服务业",
        "en": "Administrative and support and waste management and remediation services",
    },
    "61": {"zh": "教育服务业", "en": "Educational services"},
    "62": {"zh": "医疗和社会救助业", "en": "Health care and social assistance"},
    "71": {"zh": "艺术、娱乐和休闲业", "en": "Arts, entertainment and recreation"},
    "72": {"zh": "住宿和餐饮业", "en": "Accommodation and food services"},
    "81": {"zh": "其他服务业（公共管理除外）", "en": "Other services (except public administration)"},
    "92": {"zh": "公共管理", "en": "Public administration"},
    "99": {"zh": "未分类", "en": "Unclassified"},
}
