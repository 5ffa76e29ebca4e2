"""The words by which statements are changed where scans are measured: mostly others than those of the fit."""

from __future__ import annotations

from kimera.training.changed_statements import Vocabulary

TO_MEASURE_BY = Vocabulary(
    opposites="enabled disabled|true false|before after|always seldom|automatically on request|often rarely|"
    "common rare|only never|everywhere nowhere|immediately much later|safe dangerous|"
    "recommended discouraged|supported unsupported|encouraged forbidden|useful useless|"
    "quickly slowly|faster slower|easy difficult|simple complicated|possible impossible|"
    "available unavailable|mutable immutable|ascending descending|positive negative|beginning end|"
    "parent child|earlier later|smaller larger|fewer more|increases decreases|accepts rejects|"
    "succeeds fails|keeps discards|preserved lost|created deleted|installed uninstalled|"
    "included omitted|allowed forbidden|inherited overridden|sorted unsorted|identical different|"
    "unique ambiguous|ignored respected|relative absolute|unlimited limited",
    obligations="must need~not|should should~not|may must|recommended forbidden|optional mandatory|"
    "required optional|have~to need~not",
    rewordings="via~by way of|cannot~can not|multiple~several|whether~if|used~employed|want to~wish to|"
    "currently ~|simply ~|if you~whenever you|which means~so|specify~state|note that ~|large~big|"
    "contains~holds|a number of~some|e.g.~say|just ~|usually~normally|we ~one may say that we |"
    "the following~these|shown~displayed|get~obtain|ensure~make sure",
    openings=("Note that ", "Keep in mind that ", "In short, "),
    denial=("no longer", 0.2),
)
