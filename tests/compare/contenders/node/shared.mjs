import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';

export const table = process.env.TABLE_NAME;
export const dynamodb = new DynamoDBClient({});

export const answer = (statusCode, body) => ({
  statusCode,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify(body),
});

/** The key of a membership's row. */
export const member = (workspace, user) => ({ pk: { S: `MEMBERS#${workspace}` }, sk: { S: `MEMBER#${user}` } });

/** The caller's role in the workspace. */
export async function role(workspace, user) {
  const request = { TableName: table, Key: member(workspace, user), ConsistentRead: true };
  const { Item } = await dynamodb.send(new GetItemCommand(request));
  return Item?.role?.S;
}
