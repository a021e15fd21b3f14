"""`/api/leads`: the people and companies that may become customers."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.errors import Forbidden, NotFound
from pixelbloom.runs.model import iso, parse_time
from pixelbloom.runs.service import Submission, read_cursor, write_cursor
from pixelbloom.web.container import services
from pixelbloom.web.http import counting, examples
from pixelbloom.web.http.caller import authenticate_or_visitor, listed_owner, may_see, principal, scoped
from pixelbloom.web.http.openapi import IF_MATCH, SECURITY, SUBMISSION, failures, headers, nothing, success
from pixelbloom.web.http.preferences import wait_seconds
from pixelbloom.web.http.schemas import InvokeResponse, SubmissionTerms, text_or_none, uuid_or_none, with_total
from pixelbloom.web.http.versions import changed, versioned
from pixelbloom.web.leads import schemas as lead_examples
from pixelbloom.web.leads.schemas import LeadBody, LeadChanges, LeadPage, LeadPath, LeadRequest, LeadsQuery
from pixelbloom.web.runs.submission import accepted_body, applied, submitted, terms

leads = APIBlueprint(
    "leads",
    __name__,
    url_prefix="/api/leads",
    abp_tags=[
        Tag(name="Leads", description="People and companies that may become customers; lead_agent qualifies them.")
    ],
    abp_security=SECURITY,
)
leads.before_request(scoped("leads", authenticate_or_visitor("add_lead")))
leads.before_request(counting.count_first(counting.lead, "add_lead"))
counting.limit_searches(leads, "q")
leads.before_request(counting.count_first(counting.submission, "analyze_lead"))

_NO_SUCH = "There is no such lead, or it is not yours."


@leads.post(
    "",
    summary="Create a lead",
    operation_id="createLead",
    responses={**success(LeadBody, lead_examples.LEAD, status=201), **failures(400, 401, 403, 413, 429, 500, 503)},
)
def add_lead(body: LeadRequest) -> Response:
    """Stores a lead and publishes `lead_created`. Visitors may, within VISITOR_LEAD_LIMIT; such a lead has no owner,
    and they cannot read it again.
    """
    if principal().kind == "visitor" and (body.notes is not None or body.assigned_to is not None):
        raise Forbidden("A visitor may not set notes or assigned_to; omit them.")
    row = body.model_dump(mode="json", exclude={"user_id"})
    row["user_id"] = text_or_none(services().access.new_owner(principal(), body.user_id))
    row["visitor_id"] = text_or_none(principal().visitor_id)
    response = _rendered(services().leads.add(row))
    response.status_code = 201
    return response


@leads.get(
    "",
    summary="List leads",
    operation_id="listLeads",
    responses={
        **success(LeadPage, {"items": [lead_examples.LEAD], "next_cursor": None}),
        **failures(400, 401, 403, 429, 500, 503),
    },
)
def list_leads(query: LeadsQuery) -> dict[str, Any]:
    """Returns your own leads, newest first. Services and administrators get everybody's, or those of `user_id`."""
    wanted = {"user_id": listed_owner(query.user_id), "status": query.status, "source": query.source}
    rows = services().leads.page(
        limit=query.limit,
        filters={name: str(value) for name, value in wanted.items() if value is not None},
        scores=(query.min_score, query.max_score),
        between=(iso(query.created_after), iso(query.created_before)),
        words=query.q,
        before=read_cursor(query.cursor) if query.cursor else None,
        total=query.count == "exact",
    )
    body = {
        "items": [_shown(row) for row in rows.items],
        "next_cursor": write_cursor(rows.items[-1]) if rows.more else None,
    }
    return with_total(body, rows.total)


@leads.get(
    "/<lead_id>",
    summary="Get a lead",
    operation_id="getLead",
    responses={**success(LeadBody, lead_examples.LEAD, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_lead(path: LeadPath) -> Response:
    """Returns the lead with the analysis of lead_agent."""
    return _rendered(_visible_lead(path.lead_id))


@leads.patch(
    "/<lead_id>",
    summary="Update a lead",
    operation_id="updateLead",
    responses={**success(LeadBody, lead_examples.LEAD), **failures(400, 401, 403, 404, 409, 413, 500, 503)},
    openapi_extensions=headers(IF_MATCH),
)
def change_lead(path: LeadPath, body: LeadChanges) -> Response:
    """Changes the given fields. With `If-Match`, only if the lead was not changed since."""
    changes = body.model_dump(mode="json", exclude_unset=True)
    return _rendered(_changed(path.lead_id, changes))


@leads.delete(
    "/<lead_id>",
    summary="Delete a lead",
    operation_id="deleteLead",
    responses={**nothing("Lead deleted."), **failures(401, 403, 404, 409, 500, 503)},
    openapi_extensions=headers(IF_MATCH),
)
def remove_lead(path: LeadPath) -> tuple[str, int]:
    """Deletes the lead. It disappears from lists and from figures, including those of the past."""
    _changed(path.lead_id, {"deleted_at": "now"})
    return "", 204


@leads.post(
    "/<lead_id>/analyze",
    summary="Analyze a lead",
    operation_id="analyzeLead",
    responses={
        **success(InvokeResponse, examples.QUEUED, description="Run accepted.", headers=("Preference-Applied",)),
        **failures(401, 403, 404, 409, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def analyze_lead(path: LeadPath) -> Response:
    """Creates a run of lead_agent. When it is completed the lead has its score, status and analysis, and
    `lead_analyzed` is published.
    """
    lead = _visible_lead(path.lead_id)
    owner = UUID(lead["user_id"]) if lead["user_id"] else None
    wanted = Submission(
        agent_type="lead_agent",
        input={"lead_id": lead["id"]},
        # On behalf of the owner, whoever the caller is: the run can read the owner's leads.
        **{**terms(SubmissionTerms()), "user_id": owner},
    )
    seconds = wait_seconds(request.headers.get("Prefer"))
    accepted, waited = submitted(
        lambda run_id: services().runs.submit(wanted, run_id), seconds, agent_type=wanted.agent_type
    )
    return applied(jsonify(accepted_body(accepted)), seconds, waited=waited)


def _visible_lead(text: str) -> dict[str, Any]:
    """Return the lead if the caller may see it. Raises NotFound."""
    lead_id = uuid_or_none(text)
    row = services().leads.find(lead_id) if lead_id else None
    if row is None or not may_see(row["user_id"]):
        raise NotFound(_NO_SUCH)
    return row


def _changed(text: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Change a lead. Raises NotFound, InvalidInput, and Conflict if it was changed meanwhile."""
    row = _visible_lead(text)
    return changed(row, changes, services().leads.change)


def _rendered(row: dict[str, Any]) -> Response:
    return versioned(_shown(row), row["version"])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in lead_examples.LEAD if name != "lead_id"}
    for name in ("analyzed_at", "created_at", "updated_at"):
        shown[name] = iso(parse_time(row[name]))
    return {"lead_id": row["id"], **shown}
