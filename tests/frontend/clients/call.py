"""The client that openapi-python-client makes of the API document. Prints what came back."""

import json
import os
from typing import Any

from generated import AuthenticatedClient
from generated.api.agents import invoke_agent
from generated.api.leads import create_lead, update_lead
from generated.models import ChatAgentInput, ErrorBody, InvokeChatAgent, LeadBody, LeadChanges, LeadRequest

with AuthenticatedClient(os.environ["API_URL"], os.environ["TOKEN"]) as client:
    created: Any = create_lead.sync_detailed(client=client, body=LeadRequest(name="Ada", budget=None))
    lead = created.parsed
    assert isinstance(lead, LeadBody), created
    etag = created.headers["ETag"]
    updated = update_lead.sync(lead.lead_id, client=client, if_match=etag, body=LeadChanges(company="Northwind"))
    stale = update_lead.sync(lead.lead_id, client=client, if_match=etag, body=LeadChanges(company="Southwind"))
    run: Any = invoke_agent.sync(
        client=client, body=InvokeChatAgent(agent_type="chat_agent", input_=ChatAgentInput(message="Hello"))
    )
assert isinstance(updated, LeadBody)
assert isinstance(stale, ErrorBody)
print(json.dumps({"name": lead.name, "company": updated.company, "stale": stale.code, "status": run.status}))  # noqa: T201
