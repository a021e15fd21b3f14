"""The states and kinds of stored rows, one list each; a test compares them with the constraints of the database."""

from typing import Literal

ConversationStatus = Literal["active", "closed"]
LeadStatus = Literal["new", "contacted", "qualified", "unqualified", "converted", "lost"]
LogLevel = Literal["debug", "info", "warning", "error"]
Severity = Literal["info", "success", "warning", "error"]
BroadcastStatus = Literal["sending", "sent"]

RunKind = Literal["agent", "workflow"]
RunStatusName = Literal["queued", "running", "completed", "failed", "cancelled"]
StepKind = Literal["agent", "map", "approval"]
StepStatus = Literal["pending", "running", "waiting", "completed", "failed", "skipped", "cancelled"]
OnError = Literal["fail", "continue"]
DeliveryStatus = Literal["pending", "delivered", "failed"]

PackageInterval = Literal["once", "month", "year"]
BillingInterval = Literal["once", "day", "week", "month", "year"]
DiscountDuration = Literal["once", "repeating", "forever"]
SubscriptionStatus = Literal["incomplete", "trialing", "active", "past_due", "paused", "unpaid", "cancelled"]
StripeEventStatus = Literal["received", "processed", "ignored", "failed"]
#: Derived from a use's times; the database has no column of it.
RedemptionState = Literal["open", "completed", "released"]
