"""What may keep a file out of the store, or be noticed when it is taken: one code for each."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class ImportCode(ReasonCode):
    """Why a file was not imported, or what was noticed when it was."""

    UNKNOWN_KIND = "import_unknown_kind", "The file is none of the kinds this reader takes."
    TOO_LARGE = "import_too_large", "The file is larger than any list this reader takes."
    UNREADABLE = "import_unreadable", "The file cannot be read."
    NO_ANCHORS = "import_no_anchors", "The file holds no certificate that can be an anchor."
    NOT_SIGNED = "import_not_signed", "Bare certificates are believed only where a person brings them."
    ROLLED_BACK = "import_rolled_back", "The list is older than the one this reader has."
    SAME_ORDER = "import_same_order", "The list differs from the one this reader has, and claims the same issue."
    OTHER_ROOT = (
        "import_other_root",
        "This reader also has a list of the same name that leads to another root: it believes both.",
    )
    UNCHANGED = "import_unchanged", "This reader has this list already."
    OVERRIDDEN = "import_overridden", "Taken against the rules, because a person said so."
