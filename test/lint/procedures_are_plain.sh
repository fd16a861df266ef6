# A SET clause or SECURITY DEFINER silently makes CALL atomic, so that a training
# could not commit while it runs; and a C function would pay for a SET at each call.
psql -X -At -v ON_ERROR_STOP=1 <<'END'
SELECT p.oid::regprocedure || ' must have no SET clause'
       || CASE WHEN p.prokind = 'p' THEN ' and must not be SECURITY DEFINER' ELSE '' END
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mlops'
 WHERE (p.prokind = 'p' AND (p.proconfig IS NOT NULL OR p.prosecdef))
    OR (l.lanname = 'c' AND p.proconfig IS NOT NULL)
 ORDER BY 1;
END
