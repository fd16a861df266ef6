-- Citus: the registry's tables become reference tables, so that every node has
-- them, and functions that read them stay out of parallel workers, which cannot
-- take part in a distributed transaction.
--
-- The log and the outcomes stay where they are: every node logs its own calls.
--
-- Parents go first, and Citus must not take local tables along, or it makes the
-- foreign keys twice. What has been done is left alone, so that the function can
-- be called again, as it must be after an update of the extension.

CREATE FUNCTION mlops_citus_setup() RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET citus.enable_local_reference_table_foreign_keys = off
AS $$
DECLARE
    made text[] := '{}';
    registry regclass;
    reader regprocedure;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') THEN
        RETURN 'Citus is not installed in this database: nothing to set up';
    END IF;
    FOR registry IN
        WITH RECURSIVE depth AS (
            SELECT c.oid, 0 AS n FROM pg_class AS c
              JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
              JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'mlops'
             WHERE c.relkind = 'r' AND NOT c.relispartition AND c.relname NOT IN ('log_gap', 'outcome', 'outcome_source')
            UNION
            SELECT k.conrelid, d.n + 1 FROM depth AS d
              JOIN pg_constraint AS k ON k.confrelid = d.oid AND k.contype = 'f' AND k.conrelid <> k.confrelid
             WHERE d.n < 16
        )
        SELECT oid FROM depth GROUP BY oid ORDER BY max(n), oid
    LOOP
        PERFORM 1 FROM pg_catalog.pg_dist_partition WHERE logicalrelid = registry;
        IF NOT FOUND THEN
            PERFORM pg_catalog.create_reference_table(registry);
            made := made || registry::text;
        END IF;
    END LOOP;
    FOR reader IN
        SELECT p.oid FROM pg_proc AS p
          JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'mlops'
         WHERE p.provolatile = 's' AND p.proparallel = 's' AND p.prokind = 'f' ORDER BY p.oid
    LOOP
        EXECUTE format('ALTER FUNCTION %s PARALLEL RESTRICTED', reader);
    END LOOP;
    RETURN CASE WHEN made = '{}' THEN 'the registry''s tables are reference tables'
                ELSE 'made reference tables: ' || array_to_string(made, ', ') END;
END
$$;
COMMENT ON FUNCTION mlops_citus_setup() IS 'makes the registry known on all nodes of a Citus cluster; does nothing without Citus';
