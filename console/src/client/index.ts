export { Backoff } from './backoff'
export type { ErrorFrame, EventFrame, FlatFrame, SubscribedFrame } from './frames'
export { applyRunEvent, emptyRun, type RunEvent, type RunView, TERMINAL } from './runs'
export { type ConnectionState, Socket, type SocketOptions, type TopicHandlers } from './socket'
