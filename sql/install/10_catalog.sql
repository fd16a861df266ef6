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

-- no foreign key, for the same reason
CREATE TABLE mlops_catalog.training_row (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    kind            text COLLATE "C" NOT NULL CHECK (kind IN ('row', 'key')),
    part            integer NOT NULL CHECK (part >= 0),
    bits            integer NOT NULL CHECK (bits BETWEEN 1 AND 64),
    data            bytea NOT NULL,
    PRIMARY KEY (model, version, kind, part)
);
ALTER TABLE mlops_catalog.training_row ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE mlops_catalog.training_row IS 'fingerprints of the rows that a version was trained on, and of their keys where it was told them; sorted, in parts of at most 1 MB';

CREATE TABLE mlops_catalog.training_profile (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    role            text COLLATE "C" NOT NULL CHECK (role IN ('feature', 'target', 'prediction')),
    feature         text COLLATE "C" NOT NULL,
    position        integer NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('number', 'category', 'time', 'array')),
    rows            bigint NOT NULL,
    missing         bigint NOT NULL,
    sampled         bigint,
    minimum         float8,
    maximum         float8,
    mean            float8,
    deviation       float8,
    edge            float8[],
    edge_rows       bigint[],
    knot            float8[],
    knot_upto       bigint[],
    knot_equal      bigint[],
    bin_low         float8,
    bin_high        float8,
    bin_rows        bigint[],
    level           text[],
    level_rows      bigint[],
    other_rows      bigint,
    other_levels    bigint,
    PRIMARY KEY (model, version, role, feature),
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
-- numbers that are all different do not become smaller by trying
ALTER TABLE mlops_catalog.training_profile ALTER COLUMN knot SET STORAGE EXTERNAL;
ALTER TABLE mlops_catalog.training_profile ALTER COLUMN knot_upto SET STORAGE EXTERNAL;
COMMENT ON TABLE mlops_catalog.training_profile IS 'what the rows that a version was trained on looked like, column by column, and its predictions: counts, moments, distribution';

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
    canary_threshold    float8,
    canary_rules    integer,
    canary_rules_sha256 bytea,
    canary_deployment   integer,
    canary_salt     text COLLATE "C",
    shadows         integer NOT NULL DEFAULT 0,
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version,
    FOREIGN KEY (model, canary_version) REFERENCES mlops_catalog.version,
    CHECK ((canary_version IS NULL) OPERATOR(pg_catalog.=) (canary_share IS NULL)),
    CHECK (canary_share OPERATOR(pg_catalog.>) 0 AND canary_share OPERATOR(pg_catalog.<) 1)
);
COMMENT ON TABLE mlops_catalog.serving IS 'the bundle that serves, one row a model, and the canary beside it; deployment: that of the active bundle; stack: deployments that a rollback goes back to; shadows: how many there are';

CREATE TABLE mlops_catalog.shadow (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    name            text COLLATE "C" NOT NULL CHECK (pg_catalog.octet_length(name) OPERATOR(pg_catalog.<=) 56),
    version         integer NOT NULL,
    sha256          bytea NOT NULL,
    threshold       float8,
    share           float8 NOT NULL CHECK (share OPERATOR(pg_catalog.>) 0 AND share OPERATOR(pg_catalog.<=) 1),
    set_by          text NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, name),
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
COMMENT ON TABLE mlops_catalog.shadow IS 'versions that are asked beside the active one, for a share of the logged calls, and never shown';

CREATE TABLE mlops_catalog.shadow_event (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    number          integer NOT NULL,
    event           text NOT NULL CHECK (event IN ('set', 'removed', 'acknowledged')),
    name            text COLLATE "C",
    version         integer NOT NULL,
    share           float8,
    reason          text,
    caused_by       text NOT NULL,
    at              timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, number)
);
COMMENT ON TABLE mlops_catalog.shadow_event IS 'append-only history of shadows: who set or removed one, and why one was compared although predictions influence outcomes';

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
    canary_salt     text COLLATE "C",
    PRIMARY KEY (model, number)
);
CREATE INDEX deployment_model_version ON mlops_catalog.deployment (model, version, number);
COMMENT ON TABLE mlops_catalog.deployment IS 'append-only history of what served: who, when, from, to, why; share below 1: a canary, beside the bundle of from_deployment; canary_salt: by which its rows were chosen';

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
CREATE TABLE mlops_catalog.metric (
    name            text COLLATE "C" PRIMARY KEY,
    aggregate       text NOT NULL,
    columns         text[] NOT NULL DEFAULT '{}',
    tasks           text[] NOT NULL,
    higher_is_better boolean NOT NULL,
    minimum         float8,
    maximum         float8,
    description     text,
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE mlops_catalog.metric IS 'aggregates that are metrics: signature, columns of the row that they take, author and the settings that hold when they run';

CREATE TABLE mlops_catalog.evaluation (
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    validation_set  text COLLATE "C" NOT NULL,
    edition         integer NOT NULL,
    slice           text COLLATE "C" NOT NULL,
    metric          text COLLATE "C" NOT NULL,
    value           float8,
    low             float8,
    high            float8,
    baseline        float8,
    threshold       float8,
    n               bigint NOT NULL,
    seen            bigint,
    evaluated_by    text NOT NULL,
    evaluated_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    stale           boolean NOT NULL DEFAULT false,
    PRIMARY KEY (model, version, validation_set, edition, slice, metric),
    FOREIGN KEY (model, version) REFERENCES mlops_catalog.version
);
COMMENT ON TABLE mlops_catalog.evaluation IS 'what versions were measured at on editions of validation sets; the slice of all rows has no name; stale: the model has another primary metric since';
CREATE TABLE mlops_catalog.validation_set (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    name            text COLLATE "C" NOT NULL,
    relation        text COLLATE "C" NOT NULL UNIQUE,
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    source          text NOT NULL,
    target          text,
    key             text NOT NULL,
    time_column     text,
    time_unit       interval,
    time_origin     timestamptz,
    period          interval,
    label_delay     interval NOT NULL,
    lateness        interval NOT NULL,
    every           interval,
    max_rows        bigint NOT NULL,
    min_rows        bigint NOT NULL,
    slices          text[] NOT NULL,
    stratify_by     text[] NOT NULL,
    classes         boolean NOT NULL,
    seed            bigint NOT NULL,
    frozen          boolean NOT NULL,
    columns         jsonb NOT NULL,
    edition         integer NOT NULL DEFAULT 0,
    as_of           timestamptz,
    watermark       bigint,
    groups          jsonb NOT NULL DEFAULT '{}',
    last_slice      integer NOT NULL DEFAULT 0,
    error           text,
    error_at        timestamptz,
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, name)
);
COMMENT ON TABLE mlops_catalog.validation_set IS 'rolling collections of labelled rows; relation: the table of mlops_data that has them; watermark: how far the source was read';

CREATE TABLE mlops_catalog.edition (
    model           text COLLATE "C" NOT NULL,
    validation_set  text COLLATE "C" NOT NULL,
    edition         integer NOT NULL CHECK (edition > 0),
    event           text NOT NULL CHECK (event IN ('refresh', 'pin', 'unpin')),
    as_of           timestamptz NOT NULL,
    rows            bigint NOT NULL,
    pinned          bigint NOT NULL,
    rows_in         bigint NOT NULL,
    rows_out        bigint NOT NULL,
    kept            bigint NOT NULL,
    rows_read       bigint NOT NULL,
    rows_skipped    jsonb NOT NULL,
    slices          jsonb NOT NULL,
    time_from       text,
    time_to         text,
    fingerprint     bytea NOT NULL CHECK (pg_catalog.length(fingerprint) = 16),
    altered         boolean NOT NULL DEFAULT false,
    seconds         float8 NOT NULL,
    refreshed_by    text NOT NULL,
    refreshed_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, validation_set, edition),
    FOREIGN KEY (model, validation_set) REFERENCES mlops_catalog.validation_set
);
COMMENT ON TABLE mlops_catalog.edition IS 'what a validation set held after each refresh; altered: a person was erased from it since';

CREATE TABLE mlops_catalog.edition_stratum (
    model           text COLLATE "C" NOT NULL,
    validation_set  text COLLATE "C" NOT NULL,
    bucket          bigint NOT NULL,
    stratum         integer NOT NULL,
    from_edition    integer NOT NULL,
    until_edition   integer,
    population      bigint NOT NULL,
    kept            bigint NOT NULL,
    guarded         bigint NOT NULL,
    weight          float8 NOT NULL,
    PRIMARY KEY (model, validation_set, bucket, stratum, from_edition)
);
COMMENT ON TABLE mlops_catalog.edition_stratum IS 'weights of sampled rows: population / kept of a stretch of time and stratum, in editions from_edition <= e < until_edition';

CREATE TABLE mlops_catalog.slice (
    model           text COLLATE "C" NOT NULL,
    validation_set  text COLLATE "C" NOT NULL,
    number          integer NOT NULL CHECK (number > 0),
    name            text COLLATE "C" NOT NULL,
    columns         text[],
    value           text[],
    condition       text,
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    min_rows        bigint NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, validation_set, number),
    UNIQUE (model, validation_set, name),
    CHECK ((condition IS NULL) <> (columns IS NULL)),
    FOREIGN KEY (model, validation_set) REFERENCES mlops_catalog.validation_set
);
COMMENT ON TABLE mlops_catalog.slice IS 'sub-populations of a set: a value of a column, of two, or a condition; numbers are never used again';

CREATE TABLE mlops_catalog.pin (
    model           text COLLATE "C" NOT NULL,
    validation_set  text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,
    reason          text,
    pinned_by       text NOT NULL,
    pinned_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, validation_set, key),
    FOREIGN KEY (model, validation_set) REFERENCES mlops_catalog.validation_set
);
COMMENT ON TABLE mlops_catalog.pin IS 'rows that stay in a set until they are unpinned';

CREATE TABLE mlops_catalog.failure (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    key             text COLLATE "C" NOT NULL,
    correct_label   text,
    note            text,
    annotator       text NOT NULL,
    reported_by     text NOT NULL,
    reported_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, key)
);
COMMENT ON TABLE mlops_catalog.failure IS 'predictions that somebody found wrong, and the right label';

CREATE TABLE mlops_catalog.label (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    key             text COLLATE "C" NOT NULL,
    label           text NOT NULL,
    note            text,
    annotator       text NOT NULL,
    recorded_by     text NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, key)
);
COMMENT ON TABLE mlops_catalog.label IS 'labels that people gave to rows whose source has none';

-- days are partitions in mlops_data, made by the log writer; no foreign key, whose
-- check would lock the model's row for every batch
CREATE TABLE mlops_catalog.prediction (
    at              timestamptz NOT NULL,
    model           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    role            text COLLATE "C" NOT NULL,
    deployment      integer,
    key             text COLLATE "C",
    prediction      float8,
    label           text,
    rules_fired     bigint,
    rule_errors     bigint,
    checks_failed   bigint,
    latency_us      real,
    input           jsonb,
    shadows         jsonb
) PARTITION BY RANGE (at);
COMMENT ON TABLE mlops_catalog.prediction IS 'logged calls of mlops_predict and mlops_score, those of rolled-back transactions too';

-- every partition has an index of its own: one of the whole table, which no dump carries, would
-- come before those of the days when a dump is restored, and take their names
CREATE TABLE mlops_catalog.prediction_default PARTITION OF mlops_catalog.prediction DEFAULT;
CREATE INDEX prediction_default_key ON mlops_catalog.prediction_default (key pg_catalog.text_pattern_ops) WITH (deduplicate_items = off);
COMMENT ON TABLE mlops_catalog.prediction_default IS 'logged predictions of days that have no partition of their own';

-- process: 0 is the log writer; others add rows of their own, so that nobody waits for anybody
CREATE TABLE mlops_catalog.shadow_cost (
    model           text COLLATE "C" NOT NULL,
    day             date NOT NULL,
    name            text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    process         integer NOT NULL,
    calls           bigint NOT NULL,
    failed          bigint NOT NULL,
    skipped         bigint NOT NULL,
    microseconds    float8 NOT NULL,
    PRIMARY KEY (model, day, name, version, process)
);
COMMENT ON TABLE mlops_catalog.shadow_cost IS 'what logged calls of shadows have cost, by day (UTC): microseconds are those of calls that neither failed nor were skipped';

CREATE TABLE mlops_catalog.log_gap (
    at              timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    reason          text COLLATE "C" NOT NULL,
    calls           bigint NOT NULL,
    PRIMARY KEY (at, reason)
);
COMMENT ON TABLE mlops_catalog.log_gap IS 'calls that were counted and not logged, until a moment';

-- written by the worker, many times a row: half of a page is left free for its next state
CREATE TABLE mlops_catalog.serving_statistics (
    model           text COLLATE "C" NOT NULL,
    since           timestamptz NOT NULL,
    version         integer NOT NULL,
    role            text COLLATE "C" NOT NULL,
    rules           integer NOT NULL,
    until           timestamptz NOT NULL,
    counted_at      timestamptz NOT NULL,
    rows            bigint NOT NULL,
    null_rows       bigint NOT NULL,
    label           text[] NOT NULL,
    label_rows      bigint[] NOT NULL,
    other_labels    bigint NOT NULL,
    rule_rows       bigint[] NOT NULL,
    rule_errors     bigint NOT NULL,
    check_rows      bigint[] NOT NULL,
    barred          bigint NOT NULL,
    PRIMARY KEY (model, since, version, role, rules)
) WITH (fillfactor = 50);
COMMENT ON TABLE mlops_catalog.serving_statistics IS 'calls of mlops_predict by part of the day: how many, and what they gave; rules: number of the rule set, 0 without';

CREATE TABLE mlops_catalog.serving_histogram (
    model           text COLLATE "C" NOT NULL,
    since           timestamptz NOT NULL,
    version         integer NOT NULL,
    role            text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL CHECK (subject IN ('feature', 'prediction')),
    feature         text COLLATE "C" NOT NULL,
    until           timestamptz NOT NULL,
    counted_at      timestamptz NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('number', 'category', 'time', 'array')),
    rows            bigint NOT NULL,
    missing         bigint NOT NULL,
    binned          bigint,
    bin_low         float8,
    bin_high        float8,
    bin_rows        bigint[],
    level           text[],
    level_rows      bigint[],
    other_rows      bigint,
    PRIMARY KEY (model, since, version, role, subject, feature)
) WITH (fillfactor = 50);
COMMENT ON TABLE mlops_catalog.serving_histogram IS 'what features and predictions of these calls looked like, in the bins and levels of the training profile; bin_rows: below bin_low, bins of equal width, above bin_high; binned: rows that they are of, some with the weight of many';

CREATE TABLE mlops_catalog.outcome (
    model           text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,
    at              timestamptz NOT NULL,
    source          text COLLATE "C" NOT NULL DEFAULT '',
    annotator       text COLLATE "C" NOT NULL,
    outcome         text COLLATE "C" NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (model, key, at, source, annotator)
);
COMMENT ON TABLE mlops_catalog.outcome IS 'true labels that arrived later; a key may have several';

CREATE TABLE mlops_catalog.outcome_source (
    model           text COLLATE "C" PRIMARY KEY,
    source          text NOT NULL,
    key             text NOT NULL,
    outcome         text NOT NULL,
    time_column     text NOT NULL,
    lateness        interval NOT NULL,
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    pulled_until    timestamptz,
    pulled_at       timestamptz,
    set_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE mlops_catalog.outcome_source IS 'the query that outcomes of a model are pulled from, as its author';

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
    checks          jsonb,
    PRIMARY KEY (model, number)
);
COMMENT ON TABLE mlops_catalog.rule_set IS 'checks of rows and rules on top of predictions, as they were written and compiled; inserted, never updated; uses: versions that they name';

-- judged_until: end of the newest period that was judged
CREATE TABLE mlops_catalog.monitor (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    name            text COLLATE "C" NOT NULL,
    what            text COLLATE "C" NOT NULL,
    feature         text COLLATE "C",
    minimum         float8,
    maximum         float8,
    period          interval NOT NULL,
    every           interval NOT NULL,
    label_delay     interval NOT NULL,
    min_rows        bigint NOT NULL CHECK (min_rows > 0),
    consecutive     integer NOT NULL CHECK (consecutive > 0),
    action          text NOT NULL CHECK (action IN ('alert', 'rollback', 'fallback', 'retrain')),
    cooldown        interval NOT NULL,
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    judged_until    timestamptz,
    acted_until     timestamptz,
    error           text,
    error_at        timestamptz,
    PRIMARY KEY (model, name)
);
COMMENT ON TABLE mlops_catalog.monitor IS 'what is watched of a model while it serves: a quantity, its bounds (none: proposed from earlier periods), what to do; acted_until: no action before';

-- no foreign key, here and for alerts: periods go with their monitor, alerts stay
CREATE TABLE mlops_catalog.monitor_period (
    model           text COLLATE "C" NOT NULL,
    monitor         text COLLATE "C" NOT NULL,
    until           timestamptz NOT NULL,
    since           timestamptz NOT NULL,
    value           float8,
    low             float8,
    high            float8,
    n               bigint NOT NULL,
    version         integer,
    minimum         float8,
    maximum         float8,
    verdict         text NOT NULL CHECK (verdict IN ('good', 'bad', 'unclear', 'learning', 'no data')),
    alert           integer,
    note            text,
    PRIMARY KEY (model, monitor, until)
);
COMMENT ON TABLE mlops_catalog.monitor_period IS 'what monitors saw, period by period, and by which bounds they judged it';

CREATE TABLE mlops_catalog.alert (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    number          integer NOT NULL,
    monitor         text COLLATE "C" NOT NULL,
    what            text NOT NULL,
    feature         text,
    opened_at       timestamptz NOT NULL,
    since           timestamptz NOT NULL,
    until           timestamptz NOT NULL,
    value           float8,
    low             float8,
    high            float8,
    n               bigint NOT NULL,
    minimum         float8,
    maximum         float8,
    note            text,
    version         integer,
    deployment      integer,
    action          text NOT NULL,
    done            text,
    made            integer,
    acted_at        timestamptz,
    acknowledged_by text,
    acknowledged_at timestamptz,
    is_real         boolean,
    muted_until     timestamptz,
    resolved_by     text,
    resolved_at     timestamptz,
    comment         text,
    PRIMARY KEY (model, number)
);
CREATE INDEX alert_made ON mlops_catalog.alert (model, made) WHERE made IS NOT NULL;
COMMENT ON TABLE mlops_catalog.alert IS 'what monitors found: the period that opened the alert, what was done (made: the deployment that it made), what people said of it; resolved_by NULL: by the monitor';

CREATE TABLE mlops_catalog.monitor_clock (
    model           text COLLATE "C" PRIMARY KEY REFERENCES mlops_catalog.model,
    as_of           timestamptz NOT NULL,
    last_alert      integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE mlops_catalog.monitor_clock IS 'how far the monitors of a model have come: time that they never go behind, number of the newest alert; whoever judges locks it';

CREATE TABLE mlops_catalog.retraining_policy (
    model           text COLLATE "C" PRIMARY KEY REFERENCES mlops_catalog.model,
    every           interval,
    new_labels      bigint CHECK (new_labels > 0),
    drop            float8 CHECK (drop > 0),
    changes         jsonb NOT NULL,
    promote         boolean NOT NULL,
    period          interval,
    time_column     text,
    time_unit       interval,
    time_origin     timestamptz,
    label_delay     interval NOT NULL,
    pause           interval NOT NULL,
    live_period     interval NOT NULL,
    min_rows        bigint NOT NULL CHECK (min_rows > 0),
    author          text NOT NULL,
    settings        jsonb NOT NULL,
    as_of           timestamptz NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE mlops_catalog.retraining_policy IS 'when a model is trained again, from what, and whether a version that passes the gates serves; as its author';

CREATE TABLE mlops_catalog.retraining (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    number          integer NOT NULL CHECK (number > 0),
    why             text NOT NULL,
    as_of           timestamptz NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'open'
                    CHECK (status IN ('open', 'running', 'trained', 'promoted', 'refused', 'failed', 'cancelled', 'lost')),
    from_version    integer,
    version         integer,
    deployment      integer,
    sqlstate        text,
    message         text,
    detail          text,
    pid             integer,
    backend_start   timestamptz,
    trained_by      text,
    requested_by    text NOT NULL,
    requested_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    started_at      timestamptz,
    finished_at     timestamptz,
    PRIMARY KEY (model, number)
);
CREATE UNIQUE INDEX retraining_open ON mlops_catalog.retraining (model)
    WHERE status OPERATOR(pg_catalog.=) ANY (ARRAY['open', 'running']::pg_catalog.text[]);
COMMENT ON TABLE mlops_catalog.retraining IS 'trainings that a policy, a monitor or somebody asked for: why, and what became of them';

-- pg_dump carries every row; one statement each, since each changes the extension's row
CREATE TABLE mlops_catalog.rollout (
    model           text COLLATE "C" NOT NULL REFERENCES mlops_catalog.model,
    number          integer NOT NULL,
    version         integer NOT NULL,
    author          text NOT NULL,
    state           text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'finished', 'rolled back', 'stopped')),
    step            integer NOT NULL,
    reason          text,
    created_at      timestamptz NOT NULL,
    looked_at       timestamptz NOT NULL,
    waits_for       text,
    ended_at        timestamptz,
    end_reason      text,
    PRIMARY KEY (model, number)
);
CREATE UNIQUE INDEX rollout_running ON mlops_catalog.rollout (model) WHERE state = 'running';
COMMENT ON TABLE mlops_catalog.rollout IS 'versions that are brought out in steps; one of a model runs at a time';

CREATE TABLE mlops_catalog.rollout_step (
    model           text COLLATE "C" NOT NULL,
    rollout         integer NOT NULL,
    step            integer NOT NULL,
    name            text NOT NULL,
    share           float8 NOT NULL,
    min_time        interval,
    min_rows        bigint NOT NULL,
    min_outcomes    bigint NOT NULL,
    gates           text[] NOT NULL,
    compare         text NOT NULL CHECK (compare IN ('no worse', 'better', 'off')),
    entered_at      timestamptz,
    deployment      integer,
    left_at         timestamptz,
    verdict         text CHECK (verdict IN ('passed', 'failed', 'stopped')),
    seen            jsonb,
    PRIMARY KEY (model, rollout, step),
    FOREIGN KEY (model, rollout) REFERENCES mlops_catalog.rollout
);
COMMENT ON TABLE mlops_catalog.rollout_step IS 'the steps of rollouts: what must be met to leave each, and what was seen of it';

SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.model', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.privilege', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.version', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.artifact', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.kept_row', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.training_row', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.training_profile', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.dropped_version', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.run', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.serving', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.alias', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.deployment', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.gate', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.approval', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.metric', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.evaluation', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.validation_set', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.edition', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.edition_stratum', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.slice', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.pin', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.failure', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.label', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.prediction', '');
-- the pg_dump of 13 dies of a partition here, and 14's is taken to be the same
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.prediction_default', '') WHERE pg_catalog.current_setting('server_version_num')::integer >= 150000;
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.log_gap', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.serving_statistics', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.serving_histogram', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.outcome', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.outcome_source', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.rule_set', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.shadow', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.shadow_event', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.shadow_cost', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.rollout', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.rollout_step', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.monitor', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.monitor_period', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.alert', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.monitor_clock', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.retraining_policy', '');
SELECT pg_catalog.pg_extension_config_dump('mlops_catalog.retraining', '');
