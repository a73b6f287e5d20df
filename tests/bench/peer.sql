-- The log table of new-api with its indexes, filled from a deterministic source: 500 users of very uneven weight
-- (the first makes over a fifth of the calls), one to five tokens each, 90 days, 3% errors. Used where the
-- project's own copy of the peer's definition is not at hand. {rows} is replaced by the number of rows.
DROP SCHEMA IF EXISTS peer_newapi CASCADE;
CREATE SCHEMA peer_newapi;
SELECT setseed(0.42);
CREATE UNLOGGED TABLE peer_newapi.source AS
WITH drawn AS (
    SELECT g, (power(random(), 5) * 499)::int + 1 AS u, random() AS r1, random() AS r2, random() AS r3,
        random() AS r4, random() AS r5
    FROM generate_series(1, {rows}) AS g
)
SELECT g AS n, u AS user_id, 1764547200 + g * 7776000.0 / {rows} AS ts,
    u * 8 + floor(power(r1, 3) * (1 + u % 5))::int AS token_id,
    (u * 7 + floor(power(r1, 3) * (1 + u % 5))::int * 13 + floor(power(r2, 3) * 3)::int * 5) % 40 + 1 AS model_id,
    (u + floor(power(r1, 3) * (1 + u % 5))::int) % 5 + 1 AS group_id,
    r3 >= 0.97 AS failed,
    (power(r4, 3) * 8000)::int + 20 AS input_tokens, (power(r5, 3) * 2000)::int + 1 AS output_tokens,
    (r4 * 30000)::int AS duration_ms, 'req_' || md5(g::text) AS request_id
FROM drawn;
CREATE TABLE peer_newapi.logs (
    id bigserial PRIMARY KEY, user_id bigint, created_at bigint, type bigint, content text,
    username text DEFAULT '', token_name text DEFAULT '', model_name text DEFAULT '', quota bigint DEFAULT 0,
    prompt_tokens bigint DEFAULT 0, completion_tokens bigint DEFAULT 0, use_time bigint DEFAULT 0,
    is_stream boolean, channel_id bigint, token_id bigint DEFAULT 0, "group" text, ip text DEFAULT '',
    request_id varchar(64) DEFAULT '', upstream_request_id varchar(128) DEFAULT '', other text
);
INSERT INTO peer_newapi.logs (user_id, created_at, type, content, username, token_name, model_name, quota,
    prompt_tokens, completion_tokens, use_time, is_stream, channel_id, token_id, "group", request_id, other)
SELECT user_id, ts::bigint, CASE WHEN failed THEN 5 ELSE 2 END, '', 'user' || user_id, 'token-' || token_id,
    'model-' || model_id, CASE WHEN failed THEN 0 ELSE input_tokens + output_tokens * 4 END, input_tokens,
    output_tokens, duration_ms / 1000, true, n % 20, token_id, 'group' || group_id, request_id,
    '{{"model_ratio":1.25,"group_ratio":1,"completion_ratio":4,"cache_tokens":0,"cache_ratio":0.5,"frt":1234,"admin_info":{{"use_channel":["3"]}}}}'
FROM peer_newapi.source ORDER BY n;
CREATE INDEX ON peer_newapi.logs (created_at, id);
CREATE INDEX ON peer_newapi.logs (user_id, id);
CREATE INDEX ON peer_newapi.logs (user_id);
CREATE INDEX ON peer_newapi.logs (created_at, type);
CREATE INDEX ON peer_newapi.logs (username);
CREATE INDEX ON peer_newapi.logs (model_name, username);
CREATE INDEX ON peer_newapi.logs (token_name);
CREATE INDEX ON peer_newapi.logs (model_name);
CREATE INDEX ON peer_newapi.logs (channel_id);
CREATE INDEX ON peer_newapi.logs (token_id);
CREATE INDEX ON peer_newapi.logs ("group");
CREATE INDEX ON peer_newapi.logs (ip);
CREATE INDEX ON peer_newapi.logs (request_id);
CREATE INDEX ON peer_newapi.logs (upstream_request_id);
