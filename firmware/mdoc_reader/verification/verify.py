"""A whole response: every document judged, and the worst of them is the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mdoc_reader.mdoc import request, response
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Finding, ResponseVerdict, Validity
from mdoc_reader.verification.codes import VerificationCode as Code
from mdoc_reader.verification.document import Elements, Evidence, verify_document, was_requested

_WORST_FIRST = (Validity.INVALID, Validity.UNDETERMINED, Validity.VALID)


def verify_response(answer: response.DeviceResponse, evidence: Evidence) -> ResponseVerdict:
    """Judge a response. No documents make it invalid, with their own code: that is no fraud, and `declined` says so."""
    findings = []
    if answer.status != 0:
        findings.append(
            Finding(Code.RESPONSE_STATUS, Severity.WARNING, f"{Code.RESPONSE_STATUS.operator} (status {answer.status})")
        )
    findings += [
        Finding(Code.DOCUMENT_ERROR, Severity.INFO, Code.DOCUMENT_ERROR.operator) for _ in answer.document_errors
    ]
    findings += [
        Finding(Code.PART_NOT_READ, Severity.WARNING, Code.PART_NOT_READ.operator, part) for part in answer.unread
    ]
    documents = tuple([verify_document(document, evidence) for document in answer.documents])
    if not documents:
        findings.append(Finding(Code.NO_DOCUMENTS, Severity.ERROR, Code.NO_DOCUMENTS.operator))
        declined = answer.status == 0 and not answer.document_errors and not answer.unread
        return ResponseVerdict(Validity.INVALID, (), tuple(findings), declined)
    found = {verdict.validity for verdict in documents}
    worst = next(validity for validity in _WORST_FIRST if validity in found)
    return ResponseVerdict(worst, documents, tuple(findings))


def drop_unrequested(
    verdict: ResponseVerdict, requested: Mapping[str, Mapping[str, frozenset[str]]]
) -> ResponseVerdict:
    """Return the verdict without the elements nobody asked for: nothing behind this ever sees them."""

    def kept(elements: Elements, wanted: Mapping[str, frozenset[str]]) -> Elements:
        remaining = {
            namespace: {name: value for name, value in given.items() if was_requested(name, wanted[namespace])}
            for namespace, given in elements.items()
            if namespace in wanted
        }
        return {namespace: given for namespace, given in remaining.items() if given}

    documents = []
    for document in verdict.documents:
        wanted = requested.get(document.doctype, {})
        documents.append(
            replace(
                document,
                elements=kept(document.elements, wanted),
                device_signed=kept(document.device_signed, wanted),
            )
        )
    return replace(verdict, documents=tuple(documents))


def requested_elements(asked: request.DeviceRequest) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return docType to namespace to identifiers of a request, for Evidence."""
    wanted: dict[str, dict[str, frozenset[str]]] = {}
    for doc_request in asked.doc_requests:
        namespaces = wanted.setdefault(doc_request.items.doctype, {})
        for namespace, elements in doc_request.items.elements.items():
            namespaces[namespace] = namespaces.get(namespace, frozenset()) | elements.keys()
    return wanted
