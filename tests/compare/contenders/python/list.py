from shared import DYNAMODB, TABLE, answer, role


def handler(event, _context):
    workspace = event["queryStringParameters"]["workspaceId"]
    scope = f"WS#{workspace}"
    if not role(workspace, event["requestContext"]["authorizer"]["lambda"]["userId"]):
        return answer(403, {"message": "Forbidden"})
    secrets, more = [], {}
    while True:
        page = DYNAMODB.query(
            TableName=TABLE,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": f"SECRETS#{scope}"}, ":sk": {"S": "SECRET#"}},
            **more,
        )
        for row in page["Items"]:
            secrets.append({
                "id": int(row["sk"]["S"].removeprefix("SECRET#")),
                "name": row["name"]["S"],
                "lastUsed": row.get("lastUsed", {}).get("S"),
                "dateCreated": row["createdAt"]["S"],
                "lastUpdated": row["updatedAt"]["S"],
            })
        if "LastEvaluatedKey" not in page:
            break
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    secrets.sort(key=lambda secret: secret["name"])
    return answer(200, {"pipelineSecrets": secrets, "totalSize": len(secrets)})
