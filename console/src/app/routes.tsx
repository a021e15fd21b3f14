import type { ComponentType } from 'preact'
import { type IconName, lazily } from '../ui'

/** What the path's parameters of a screen are, by their names in its route. */
export type ScreenProps = { params: Record<string, string> }

interface ScreenRoute {
  path: string
  screen: ComponentType<ScreenProps>
}

interface Place {
  path: string
  name: string
  icon: IconName
  /** Shown to those who have this permission. */
  needs?: string
}

type Module = Promise<{ default: ComponentType<ScreenProps> }>

const screen = (load: () => Module) => lazily<ScreenProps>(load)
const runs = () => import('../screens/runs')
const workflows = () => import('../screens/workflows')
const leads = () => import('../screens/leads')
const conversations = () => import('../screens/conversations')

export const ROUTES: ScreenRoute[] = [
  { path: '/', screen: screen(() => import('../screens/home')) },
  { path: '/runs', screen: screen(runs) },
  { path: '/runs/:id', screen: screen(() => import('../screens/run')) },
  { path: '/playground/:agent?', screen: screen(() => import('../screens/playground')) },
  { path: '/workflows', screen: screen(workflows) },
  { path: '/workflows/:id', screen: screen(() => import('../screens/workflow')) },
  { path: '/workflows/:id/edit', screen: screen(() => import('../screens/workflow-editor')) },
  { path: '/schedules', screen: screen(() => import('../screens/schedules')) },
  { path: '/approvals', screen: screen(() => import('../screens/approvals')) },
  { path: '/failures', screen: screen(() => import('../screens/failures')) },
  { path: '/dashboard', screen: screen(() => import('../screens/dashboard')) },
  { path: '/leads', screen: screen(leads) },
  { path: '/leads/:id', screen: screen(() => import('../screens/lead')) },
  { path: '/conversations', screen: screen(conversations) },
  { path: '/conversations/:id', screen: screen(() => import('../screens/conversation')) },
  { path: '/notifications', screen: screen(() => import('../screens/notifications')) },
  { path: '/billing', screen: screen(() => import('../screens/billing')) },
]

/** The sidebar, in groups. */
export const PLACES: { name: string; places: Place[] }[] = [
  {
    name: 'Work',
    places: [
      { path: '/', name: 'Home', icon: 'home' },
      { path: '/playground', name: 'Playground', icon: 'play' },
      { path: '/runs', name: 'Runs', icon: 'runs' },
      { path: '/approvals', name: 'Approvals', icon: 'approve', needs: 'approvals:write' },
    ],
  },
  {
    name: 'Automation',
    places: [
      { path: '/workflows', name: 'Workflows', icon: 'workflow' },
      { path: '/schedules', name: 'Schedules', icon: 'clock', needs: 'schedules:write' },
      { path: '/failures', name: 'Failures', icon: 'alert' },
    ],
  },
  {
    name: 'Business',
    places: [
      { path: '/dashboard', name: 'Dashboard', icon: 'chart', needs: 'analytics:read' },
      { path: '/leads', name: 'Leads', icon: 'lead', needs: 'leads:read' },
      { path: '/conversations', name: 'Conversations', icon: 'chat', needs: 'conversations:read' },
      { path: '/billing', name: 'Billing', icon: 'card', needs: 'payments:read' },
    ],
  },
]
