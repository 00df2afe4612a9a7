import { beside, call, calls as several, tagged } from '../call.mjs'

// The instances that a command is sent to, by Systems Manager's own condition key.
const reached = (tags) => Object.fromEntries(Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value]))
const documents = ['status', 'logs', 'restart', 'pause', 'resume', 'update', 'update-wait', 'incidents', 'check']
// How a command is followed: by provision/ask and provision/fleet.
const asking = [
  call('autoscaling:DescribeAutoScalingGroups'),
  ...several('ssm', 'DescribeInstanceInformation GetCommandInvocation ListCommandInvocations ListCommands CancelCommand'),
]
const shells = ['AWS-RunShellScript', 'AWS-RunRemoteScript'].map((name) => `ssm:document/${name}`)

// Operators of one stack, operators of all of an account's collators, and the automation that updates these.
export function calls(stack) {
  const group = (name) => reached({ 'aws:autoscaling:groupName': `${name}-collator` })
  const collator = reached({ Component: 'collator', Tenant: stack.split('-')[0], Stack: stack })
  const other = reached({ Component: 'web', Tenant: 't0rn' })
  const tenant = reached({ Component: 'collator', Tenant: 'another' })
  const send = (document, whose) => call('ssm:SendCommand', { [document]: {}, 'ec2:instance/i-1': whose })
  const execution = 'ssm:automation-execution/0a1b2c3d-0000-0000-0000-000000000000'
  const rolling = (name) => call('ssm:StartAutomationExecution', {
    [`ssm:automation-definition/${name}:$DEFAULT`]: {}, [`ssm:document/${name}`]: {}, [execution]: {},
  })
  const role = `iam:role/t0rn-agent-fleet-${stack.split('-')[1]}-rolling-update`
  const passed = { 'iam:PassedToService': 'ssm.amazonaws.com' }
  const never = [
    call('ssm:StartSession', { 'ec2:instance/i-1': { ...collator, ...group(stack) } }),
    ...several('ssm', 'UpdateDocument DeleteDocument ModifyDocumentPermission', `ssm:document/${stack}-status`),
    ...several('ssm', 'UpdateDocument DeleteDocument ModifyDocumentPermission', 'ssm:document/t0rn-agent-status'),
    ...several('ssm', 'GetParameter PutParameter', `ssm:parameter/t0rn-agent/${stack}/ami`),
    call('ssm:CreateAssociation', { 'ssm:document/t0rn-agent-status': {}, 'ssm:association/1': {} }),
    ...several('ec2', 'TerminateInstances StopInstances', { 'ec2:instance/i-1': tagged({ Stack: stack }) }),
    call('iam:PassRole', `iam:role/${stack}-apply`, passed),
    call('iam:PassRole', 'iam:role/admin', passed),
    call('iam:PassRole', role, { 'iam:PassedToService': 'ec2.amazonaws.com' }),
    ...['AWS-RestartEC2Instance', 't0rn-agent-another'].map(rolling),
  ]
  // No other role sends a document, or starts the update of all.
  const foreign = [
    ...documents.map((name) => send(`ssm:document/t0rn-agent-${name}`, collator)),
    ...documents.map((name) => send(`ssm:document/${stack}-${name}`, group(stack))),
    rolling('t0rn-agent-rolling-update'),
    call('iam:PassRole', role, passed),
  ]
  return {
    operator: {
      must: [...asking, ...documents.map((name) => send(`ssm:document/${stack}-${name}`, group(stack)))],
      mustNot: [
        ...never,
        ...documents.map((name) => send(`ssm:document/t0rn-agent-${name}`, collator)),
        ...shells.map((document) => send(document, group(stack))),
        send(`ssm:document/${stack}-status`, group(beside(stack))),
        send(`ssm:document/${stack}-status`, {}),
        send(`ssm:document/${beside(stack)}-status`, group(stack)),
        send(`ssm:document/${stack}-collect-metrics`, group(stack)),
        rolling('t0rn-agent-rolling-update'),
      ],
    },
    fleet: {
      must: [
        ...asking,
        ...documents.map((name) => send(`ssm:document/t0rn-agent-${name}`, collator)),
        rolling('t0rn-agent-rolling-update'),
        call('iam:PassRole', role, passed),
        call('ssm:DescribeAutomationExecutions'),
        ...several('ssm', 'DescribeAutomationStepExecutions GetAutomationExecution StopAutomationExecution', execution),
      ],
      mustNot: [
        ...never,
        ...shells.map((document) => send(document, collator)),
        ...[other, tenant, {}].map((whose) => send('ssm:document/t0rn-agent-status', whose)),
        send(`ssm:document/${stack}-status`, collator),
        send(`ssm:document/${stack}-collect-metrics`, collator),
      ],
    },
    rolling: {
      must: [
        ...['status', 'update-wait'].map((name) => send(`ssm:document/t0rn-agent-${name}`, collator)),
        ...several('ssm', 'DescribeInstanceInformation GetCommandInvocation ListCommandInvocations ListCommands'),
      ],
      mustNot: [
        ...never,
        ...['update', 'restart', 'pause', 'logs'].map((name) => send(`ssm:document/t0rn-agent-${name}`, collator)),
        ...shells.map((document) => send(document, collator)),
        ...[other, tenant, {}].map((whose) => send('ssm:document/t0rn-agent-update-wait', whose)),
        rolling('t0rn-agent-rolling-update'),
      ],
    },
    ...Object.fromEntries(['plan', 'apply', 'bake', 'publish', 'host', 'builder'].map((one) => [one, { must: [], mustNot: foreign }])),
  }
}
