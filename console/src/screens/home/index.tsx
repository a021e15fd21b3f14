import { caller, can } from '../../auth/caller'
import { me } from '../../auth/session'
import { Heading } from '../../ui'
import { Activity } from './activity'
import { Health } from './health'
import { Lines } from './lines'
import { TryAgent } from './try-agent'
import { WaitingApprovals } from './waiting-approvals'
import './home.css'

export default function Home() {
  const name = me.value.email?.split('@')[0]
  return (
    <>
      <Heading title="Home" lead={name ? `Signed in as ${name}.` : undefined} />
      <div class="split home">
        <div class="stack">
          <TryAgent />
          <Activity />
          <Lines />
        </div>
        <div class="stack">
          <Health />
          {(caller.value === null || can('approvals:write')) && <WaitingApprovals />}
        </div>
      </div>
    </>
  )
}
