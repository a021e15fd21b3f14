import { useEffect } from 'preact/hooks'
import { Redirect, Route, Switch, useLocation } from 'wouter-preact'
import { asksAgain, session } from '../auth/session'
import { AskAgain, SignIn } from '../auth/sign-in'
import { Button, Empty } from '../ui'
import { Toasts } from '../ui/toasts'
import { ROUTES } from './routes'
import { Shell } from './shell'

export function App() {
  return (
    <>
      {session.value === null ? <SignIn /> : <Signed />}
      {session.value !== null && asksAgain.value && <AskAgain />}
      <Toasts />
    </>
  )
}

function Signed() {
  return (
    <Shell>
      <Switch>
        {ROUTES.map(({ path, screen: Screen }) => (
          <Route key={path} path={path}>
            {(params) => <Screen params={params as Record<string, string>} />}
          </Route>
        ))}
        <Route path="/signin">
          <Redirect to={new URLSearchParams(location.search).get('to') ?? '/'} replace />
        </Route>
        <Route>
          <NotFound />
        </Route>
      </Switch>
    </Shell>
  )
}

function NotFound() {
  const [, navigate] = useLocation()
  useEffect(() => {
    document.title = 'Not found · PixelBloom'
  }, [])
  return (
    <Empty title="There is no such page" icon="search">
      <Button onClick={() => navigate('/')}>Go to the start</Button>
    </Empty>
  )
}
