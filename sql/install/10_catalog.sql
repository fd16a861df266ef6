-- The nouns: every table of mlops on one page.
--
-- mlops_catalog holds the tables; nobody but the extension's owner has rights
-- on them. mlops holds views of the same names, filtered by privilege, and
-- internal functions. mlops_data holds copies of rows (validation sets).
-- Keys are natural (a model's name, a version's number) and COLLATE "C",
-- because scoring reads them by catalog-style index scans, which assume it.

CREATE SCHEMA mlops;
CREATE SCHEMA mlops_catalog;
CREATE SCHEMA mlops_data;
COMMENT ON SCHEMA mlops IS 'views of the life of machine-learning models; CREATE on it allows making models';
COMMENT ON SCHEMA mlops_catalog IS 'tables of mlops: written by its functions only';
COMMENT ON SCHEMA mlops_data IS 'rows that mlops keeps: validation sets';

CREATE TABLE mlops_catalog.model (
    name            text COLLATE "C" PRIMARY KEY,
    owner           text NOT NULL,
    target          text,
    task            text CHECK (task IN ('regression', 'binary', 'multiclass', 'cluster', 'anomaly', 'projection')),
    metric          text,
    positive        text,
    description     text,
    settings        jsonb NOT NULL DEFAULT '{}',
    last_version    integer NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CHECK (name OPERATOR(pg_catalog.~) '^[^/@\u0001-\u001f\u007f]+$'
           AND pg_catalog.octet_length(name) OPERATOR(pg_catalog.<=) 63)
);
COMMENT ON TABLE mlops_catalog.model IS 'a named problem with one target and one primary metric';

CREATE TABLE mlops_catalog.privilege (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    grantee         text COLLATE "C" NOT NULL,
    privilege       text COLLATE "C" NOT NULL CHECK (privilege IN ('train', 'promote', 'predict', 'read')),
    grantor         text NOT NULL,
    granted_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, grantee, privilege)
);
COMMENT ON TABLE mlops_catalog.privilege IS 'who but its owner may do what with a model; grantee public is everybody';

CREATE TABLE mlops_catalog.version (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    version         integer NOT NULL CHECK (version > 0),
    sha256          bytea NOT NULL CHECK (pg_catalog.length(sha256) = 32),
    threshold       float8,
    scratch         boolean NOT NULL DEFAULT false,
    run             uuid,
    algorithm       text NOT NULL,
    task            text NOT NULL,
    target          text,
    spec            jsonb NOT NULL,
    params          jsonb NOT NULL,
    source          text NOT NULL,
    columns         jsonb NOT NULL,
    rows_read       bigint NOT NULL,
    rows_used       bigint NOT NULL,
    rows_skipped    jsonb NOT NULL,
    rows_training   bigint NOT NULL,
    rows_holdout    bigint NOT NULL,
    data_fingerprint    bytea NOT NULL,
    schema_fingerprint  bytea NOT NULL,
    time_from       text,
    time_to         text,
    seed            bigint NOT NULL,
    split           jsonb NOT NULL,
    training_metrics    jsonb NOT NULL,
    holdout_metrics     jsonb,
    baseline_metrics    jsonb,
    facts           jsonb NOT NULL,
    warnings        text[] NOT NULL DEFAULT '{}',
    durations       jsonb NOT NULL,
    row_security    boolean NOT NULL DEFAULT false,
    rows_kept       bigint,
    note            text,
    trained_by      text NOT NULL,
    trained_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    builds          jsonb NOT NULL,
    artifact_format integer NOT NULL,
    artifact_size   bigint NOT NULL,
    PRIMARY KEY (model, version)
);
CREATE INDEX version_encoder ON mlops_catalog.version ((params OPERATOR(pg_catalog.->>) 'encoder'))
    WHERE (params OPERATOR(pg_catalog.->>) 'encoder') IS NOT NULL;
COMMENT ON TABLE mlops_catalog.version IS 'one trained, immutable result of a model; inserted when finished, never updated';

CREATE TABLE mlops_catalog.artifact (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    part            integer NOT NULL CHECK (part >= 0),
    data            bytea NOT NULL,
    PRIMARY KEY (model, version, part),
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
ALTER TABLE mlops_catalog.artifact ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE mlops_catalog.artifact IS 'the bytes that score, in parts of 1 MB';

-- no foreign key: its check would be half the time of keeping a row. Rows are only
-- inserted by the transaction that inserts their version, and dropped before it.
CREATE TABLE mlops_catalog.kept_row (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    n               bigint NOT NULL,
    data            jsonb NOT NULL,
    PRIMARY KEY (model, version, n)
);
COMMENT ON TABLE mlops_catalog.kept_row IS 'rows that a version was trained on, where keep_rows asked for them';

CREATE TABLE mlops_catalog.dropped_version (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    sha256          bytea NOT NULL,
    algorithm       text NOT NULL,
    trained_by      text NOT NULL,
    trained_at      timestamptz NOT NULL,
    dropped_by      text NOT NULL,
    dropped_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    reason          text NOT NULL,
    PRIMARY KEY (model, version, sha256)
);
COMMENT ON TABLE mlops_catalog.dropped_version IS 'what a dropped version was, and who dropped it';

CREATE TABLE mlops_catalog.run (
    id              uuid PRIMARY KEY,
    model           text COLLATE "C" NOT NULL,
    status          text NOT NULL CHECK (status IN ('running', 'finished', 'failed', 'cancelled', 'lost', 'dropped')),
    version         integer,
    algorithm       text,
    spec            jsonb NOT NULL,
    phase           text,
    done            bigint,
    total           bigint,
    objective       float8,
    sqlstate        text,
    message         text,
    pid             integer,
    backend_start   timestamptz,
    started_at      timestamptz NOT NULL,
    phase_started_at    timestamptz NOT NULL,
    reported_at     timestamptz NOT NULL,
    finished_at     timestamptz,
    trained_by      text NOT NULL,
    search          uuid,
    candidate       integer,
    rung            integer,
    rows            bigint,
    metric          text,
    value           float8,
    rung_values     float8[]
);
CREATE INDEX run_search ON mlops_catalog.run (search, candidate) WHERE search IS NOT NULL;
CREATE INDEX run_model_started ON mlops_catalog.run (model, started_at);
COMMENT ON TABLE mlops_catalog.run IS 'every attempt at training, failed and lost ones too; searches (search is their own id) and their candidates';

CREATE TABLE mlops_catalog.serving (
    model           text COLLATE "C" PRIMARY KEY REFERENCES mlops_catalog.model,
    version         integer,
    sha256          bytea,
    threshold       float8,
    rules           integer,
    canary_version  integer,
    canary_sha256   bytea,
    canary_share    float8,
    deployment      integer NOT NULL DEFAULT 0,
    stack           integer[] NOT NULL DEFAULT '{}',
    changed_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    rules_sha256    bytea,
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
COMMENT ON TABLE mlops_catalog.serving IS 'the bundle that serves, one row a model; stack: deployments that a rollback goes back to';

CREATE TABLE mlops_catalog.alias (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    alias           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    sha256          bytea NOT NULL,
    set_by          text NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
COMMENT ON TABLE mlops_catalog.alias IS 'names for versions: model@alias';

CREATE TABLE mlops_catalog.deployment (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    number          integer NOT NULL,
    action          text NOT NULL CHECK (action IN ('promote', 'rollback')),
    version         integer NOT NULL,
    sha256          bytea NOT NULL,
    threshold       float8,
    rules           integer,
    share           float8 NOT NULL DEFAULT 1,
    from_version    integer,
    from_deployment integer,
    restored_deployment integer,
    forced          boolean NOT NULL DEFAULT false,
    evidence        jsonb,
    reason          text,
    deployed_by     text NOT NULL,
    deployed_at     timestamptz NOT NULL,
    PRIMARY KEY (model, number)
);
CREATE INDEX deployment_model_version ON mlops_catalog.deployment (model, version, number);
COMMENT ON TABLE mlops_catalog.deployment IS 'append-only history of what served: who, when, from, to, why';

CREATE TABLE mlops_catalog.gate (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    name            text COLLATE "C" NOT NULL,
    metric          text,
    minimum         float8,
    maximum         float8,
    max_drop        float8 CHECK (max_drop >= 0),
    min_gain        float8,
    validation_set  text COLLATE "C",
    slices          text[],
    min_rows        bigint NOT NULL CHECK (min_rows > 0),
    severity        text NOT NULL CHECK (severity IN ('block', 'warn')),
    proof           text NOT NULL CHECK (proof IN ('better', 'worse')),
    on_interval     boolean NOT NULL,
    query           text,
    timeout_ms      integer NOT NULL CHECK (timeout_ms > 0),
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, name),
    CHECK ((metric IS NULL) OPERATOR(pg_catalog.<>) (query IS NULL))
);
COMMENT ON TABLE mlops_catalog.gate IS 'what a version must show to be promoted: bounds of a metric, or a query of its author''s';

CREATE TABLE mlops_catalog.approval (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    sha256          bytea NOT NULL,
    approved_by     text COLLATE "C" NOT NULL,
    note            text,
    approved_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, version, approved_by),
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
COMMENT ON TABLE mlops_catalog.approval IS 'who has looked at a version and found that it may be promoted';

CREATE TABLE mlops_catalog.rule_set (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    number          integer NOT NULL CHECK (number > 0),
    sha256          bytea NOT NULL CHECK (pg_catalog.length(sha256) OPERATOR(pg_catalog.=) 32),
    program         bytea NOT NULL,
    rules           jsonb NOT NULL,
    uses            integer[] NOT NULL DEFAULT '{}',
    note            text,
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, number)
);
COMMENT ON TABLE mlops_catalog.rule_set IS 'rules on top of predictions, as they were written and compiled; inserted, never updated; uses: versions that they name';

-- pg_dump carries every row; one statement each, since each changes the extension's row
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.model', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.privilege', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.version', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.artifact', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.kept_row', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.dropped_version', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.run', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.serving', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.alias', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.deployment', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.gate', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.approval', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.rule_set', '');
