"""`/api/leads`: the people and companies that may become customers."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.leads.service import analysis
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import authenticate_or_visitor, listed_owner, principal, scoped, visible
from pixelbloom.web.http.openapi import IF_MATCH, SECURITY, SUBMISSION, failures, headers, nothing, success
from pixelbloom.web.http.rendering import Responded
from pixelbloom.web.http.schemas import InvokeResponse, SubmissionTerms
from pixelbloom.web.http.versions import changed
from pixelbloom.web.leads.schemas import LeadBody, LeadChanges, LeadPage, LeadPath, LeadRequest, LeadsQuery
from pixelbloom.web.runs.submission import respond, submitted_agent, terms

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


@leads.post(
    "",
    summary="Create a lead",
    operation_id="createLead",
    responses={**success(LeadBody, status=201), **failures(400, 401, 403, 413, 429, 500, 503)},
)
def add_lead(body: LeadRequest) -> Responded:
    """Stores a lead and publishes `lead_created`. Visitors may, within VISITOR_LEAD_LIMIT; such a lead has no owner,
    and they cannot read it again.
    """
    fields = body.model_dump(mode="json", exclude={"user_id"})
    return LeadBody.model_validate(services().leads.create(principal(), body.user_id, fields)).respond(201)


@leads.get(
    "",
    summary="List leads",
    operation_id="listLeads",
    responses={**success(LeadPage), **failures(400, 401, 403, 429, 500, 503)},
)
def list_leads(query: LeadsQuery) -> LeadPage:
    """Returns your own leads, newest first. Services and administrators get everybody's, or those of `user_id`."""
    wanted = {"user_id": listed_owner(query.user_id), "status": query.status, "source": query.source}
    rows = services().leads.page(
        limit=query.limit,
        filters={name: str(value) for name, value in wanted.items() if value is not None},
        scores=(query.min_score, query.max_score),
        between=query.between,
        words=query.q,
        before=query.before,
        total=query.count == "exact",
    )
    return LeadPage.of(rows)


@leads.get(
    "/<lead_id>",
    summary="Get a lead",
    operation_id="getLead",
    responses={**success(LeadBody, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_lead(path: LeadPath) -> Responded:
    """Returns the lead with the analysis of lead_agent."""
    return LeadBody.model_validate(_visible_lead(path.lead_id)).respond()


@leads.patch(
    "/<lead_id>",
    summary="Update a lead",
    operation_id="updateLead",
    responses={**success(LeadBody), **failures(400, 401, 403, 404, 409, 413, 500, 503)},
    openapi_extensions=headers(IF_MATCH),
)
def change_lead(path: LeadPath, body: LeadChanges) -> Responded:
    """Changes the given fields. With `If-Match`, only if the lead was not changed since."""
    changes = body.model_dump(mode="json", exclude_unset=True)
    return LeadBody.model_validate(_changed(path.lead_id, changes)).respond()


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
        **success(InvokeResponse, description="Run accepted.", headers=("Preference-Applied",)),
        **failures(401, 403, 404, 409, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def analyze_lead(path: LeadPath) -> Responded:
    """Creates a run of lead_agent. When it is completed the lead has its score, status and analysis, and
    `lead_analyzed` is published.
    """
    accepted, seconds = submitted_agent(analysis(_visible_lead(path.lead_id), terms(SubmissionTerms())))
    return respond(InvokeResponse.of(accepted), seconds)


def _visible_lead(lead_id: str) -> dict[str, Any]:
    """Return the lead if the caller may see it. Raises NotFound."""
    return visible(lead_id, services().leads.find, "There is no such lead, or it is not yours.")


def _changed(lead_id: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Change a lead. Raises NotFound, InvalidInput, and Conflict if it was changed meanwhile."""
    return changed(_visible_lead(lead_id), changes, services().leads.change)
