-- Who may call what: everyone every function, public or internal, since they
-- check privileges on the model themselves and run as their caller, and everyone
-- every view, which is filtered by them; the reader of any bytes nobody.
-- Said in full, whatever default privileges the database has.

REVOKE ALL ON SCHEMA mlops_catalog, mlops_data FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA mlops_catalog FROM PUBLIC;

GRANT USAGE ON SCHEMA mlops TO PUBLIC;
GRANT SELECT ON mlops.model, mlops.privilege, mlops.version, mlops.dropped_version, mlops.run,
      mlops.training_progress, mlops.serving, mlops.alias, mlops.deployment TO PUBLIC;
GRANT SELECT ON mlops.training_profile TO PUBLIC;
GRANT SELECT ON mlops.metric TO PUBLIC;
GRANT SELECT ON mlops.validation_set, mlops.edition, mlops.slice, mlops.pin, mlops.failure, mlops.label TO PUBLIC;
GRANT SELECT ON mlops.evaluation TO PUBLIC;
GRANT SELECT ON mlops.gate, mlops.approval TO PUBLIC;
GRANT SELECT ON mlops.rule_set, mlops.serving_check TO PUBLIC;
GRANT SELECT ON mlops.shadow, mlops.shadow_event, mlops.shadow_cost TO PUBLIC;
GRANT SELECT ON mlops.prediction, mlops.log_gap, mlops.serving_statistics, mlops.serving_histogram TO PUBLIC;
GRANT SELECT ON mlops.outcome, mlops.outcome_source TO PUBLIC;
GRANT SELECT ON mlops.retraining_policy, mlops.retraining TO PUBLIC;
GRANT SELECT ON mlops.rollout, mlops.rollout_step TO PUBLIC;
GRANT SELECT ON mlops.monitor, mlops.monitor_period, mlops.alert TO PUBLIC;
GRANT USAGE ON TYPE mlops.deployed, mlops.bundle, mlops.state TO PUBLIC;
GRANT USAGE ON TYPE mlops.refreshed, mlops.change TO PUBLIC;
GRANT USAGE ON TYPE mlops.metric_state TO PUBLIC;

DO $$
DECLARE
    routine pg_catalog.regprocedure;
BEGIN
    FOR routine IN
        SELECT p.oid FROM pg_catalog.pg_depend AS d
          JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
          JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) d.objid
         WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
           AND d.deptype OPERATOR(pg_catalog.=) 'e'
           AND e.extname OPERATOR(pg_catalog.=) 'mlops'
           AND p.proname OPERATOR(pg_catalog.<>) 'artifact_check'
           AND p.proname OPERATOR(pg_catalog.<>) 'rules_check'
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO PUBLIC', routine);
    END LOOP;
END
$$;
