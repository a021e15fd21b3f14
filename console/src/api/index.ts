export { api, ask, askPath } from './client'
export { apiUrl, config, socketUrl } from './config'
export { ApiError, asApiError, type FieldError } from './errors'
export type { components, paths } from './schema'

import type { components } from './schema'

type Schemas = components['schemas']
export type Agent = Schemas['AgentBody']
export type AgentRun = Schemas['RunBody']
export type WorkflowRun = Schemas['WorkflowRunBody']
/** A run in a list, without its large fields. */
export type AgentRunItem = Schemas['RunPage']['items'][number]
export type WorkflowRunItem = Schemas['WorkflowRunPage']['items'][number]
export type Workflow = Schemas['WorkflowBody']
export type Schedule = Schemas['ScheduleBody']
export type Lead = Schemas['LeadBody']
export type ConversationItem = Schemas['ConversationsPage']['items'][number]
export type Notification = Schemas['NotificationPage']['items'][number]
