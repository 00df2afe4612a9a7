import { arn, call } from '../call.mjs'

const claims = (subject, workflow, more = {}) => ({
  'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
  'token.actions.githubusercontent.com:sub': subject,
  'token.actions.githubusercontent.com:job_workflow_ref': `t3rn/t0rn-agent/.github/workflows/${workflow}`,
  ...more,
})

// Which jobs of GitHub take which role.
export function calls(stack) {
  const taken = (role, subject, workflow, more) => call('sts:AssumeRoleWithWebIdentity', arn(`iam:role/${stack}-${role}`), claims(subject, workflow, more))
  const main = 'repo:t3rn/t0rn-agent:ref:refs/heads/main'
  const table = (role, subject, workflow) => ({
    must: [taken(role, subject, `${workflow}@refs/heads/main`)],
    mustNot: [
      taken(role, subject, 'other.yml@refs/heads/main'),
      taken(role, subject, `${workflow}@refs/heads/feature`),
      taken(role, subject, `${workflow}@refs/pull/1/merge`),
      taken(role, 'repo:t3rn/t0rn-agent:pull_request', `${workflow}@refs/heads/main`),
      taken(role, subject.replace('t3rn/', 'someone/'), `${workflow}@refs/heads/main`),
      taken(role, subject, `${workflow}@refs/heads/main`, { 'token.actions.githubusercontent.com:aud': 'https://github.com/t3rn' }),
    ],
  })
  return {
    plan: table('plan', main, 'deploy.yml'),
    apply: table('apply', `repo:t3rn/t0rn-agent:environment:${stack}`, 'deploy.yml'),
    bake: table('bake', main, 'bake.yml'),
    publish: table('publish', 'repo:t3rn/t0rn-agent:environment:images', 'bake.yml'),
  }
}
