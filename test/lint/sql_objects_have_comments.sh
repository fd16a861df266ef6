# Whatever the extension makes and a user can meet says what it is: \df+, \d+.
psql -X -At -v ON_ERROR_STOP=1 <<'END'
SELECT 'no COMMENT ON ' || pg_describe_object(d.classid, d.objid, 0)
  FROM pg_depend d
 WHERE d.refclassid = 'pg_extension'::regclass
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'mlops')
   AND d.deptype = 'e'
   AND d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass)
   AND NOT (d.classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = d.objid) NOT IN ('r', 'v'))
   AND NOT (d.classid = 'pg_type'::regclass AND (SELECT typcategory = 'A' OR typrelid <> 0 FROM pg_type WHERE oid = d.objid))
   AND obj_description(d.objid, d.classid::regclass::name) IS NULL
 ORDER BY 1;
END
