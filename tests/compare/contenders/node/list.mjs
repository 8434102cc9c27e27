import { QueryCommand } from '@aws-sdk/client-dynamodb';
import { run } from './runtime.mjs';
import { answer, dynamodb, role, table } from './shared.mjs';

await run(async (event) => {
  const workspace = event.queryStringParameters.workspaceId;
  const scope = `WS#${workspace}`;
  if (!(await role(workspace, event.requestContext.authorizer.lambda.userId))) {
    return answer(403, { message: 'Forbidden' });
  }
  const secrets = [];
  let start;
  do {
    const page = await dynamodb.send(new QueryCommand({
      TableName: table,
      ConsistentRead: true,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
      ExpressionAttributeValues: { ':pk': { S: `SECRETS#${scope}` }, ':sk': { S: 'SECRET#' } },
      ExclusiveStartKey: start,
    }));
    for (const row of page.Items) {
      secrets.push({
        id: Number(row.sk.S.slice('SECRET#'.length)),
        name: row.name.S,
        lastUsed: row.lastUsed?.S ?? null,
        dateCreated: row.createdAt.S,
        lastUpdated: row.updatedAt.S,
      });
    }
    start = page.LastEvaluatedKey;
  } while (start);
  secrets.sort((one, other) => (one.name < other.name ? -1 : 1));
  return answer(200, { pipelineSecrets: secrets, totalSize: secrets.length });
});
