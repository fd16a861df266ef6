-- A fuzzer of the artifact's reader, in SQL: \ir it, then
--     SELECT * FROM fuzz_artifacts(artifacts bytea[], rounds int, seed int);
-- Every round changes one of the artifacts in one of the ways below and reads
-- the result. The same seed makes the same changes. Outcomes are counted:
-- 'a model', 'ML004', or any other SQLSTATE, of which there must be none.

CREATE FUNCTION fuzz_number(seed int, round int, draw text, below int) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN below <= 0 THEN 0 ELSE
           ((('x' || substr(md5(seed || ':' || round || ':' || draw), 1, 15))::bit(60)::bigint) % below)::int END
$$;

CREATE FUNCTION fuzz_write(bytes bytea, at int, patch bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(bytes, 1, at) || substr(patch, 1, greatest(length(bytes) - at, 0)) ||
           substr(bytes, at + length(patch) + 1)
$$;

-- the total length in the header, so that what was cut or added is read further
CREATE FUNCTION fuzz_mend(bytes bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(bytes) < 24 THEN bytes ELSE
           substr(bytes, 1, 16) ||
           (SELECT string_agg(substr(int8send(length(bytes)), i, 1), '' ORDER BY i DESC) FROM generate_series(1, 8) i) ||
           substr(bytes, 25) END
$$;

CREATE FUNCTION fuzz_mutate(bytes bytea, other bytea, seed int, round int) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    n int := length(bytes);
    at int := fuzz_number(seed, round, 'at', n);
    width int := 1 + fuzz_number(seed, round, 'width', 32);
    from_other int := fuzz_number(seed, round, 'other', length(other));
    extremes bytea[] := ARRAY['\x00000000', '\xffffffff', '\xffffff7f', '\x00000080', '\x01000000', '\xfe000000'];
    doubles bytea[] := ARRAY['\x000000000000f07f', '\x000000000000f0ff', '\x000000000000f87f', '\xffffffffffffef7f',
                             '\x000000000000f0bf', '\x0000000000000080'];
BEGIN
    CASE fuzz_number(seed, round, 'kind', 9)
        WHEN 0 THEN                                 -- one bit
            RETURN set_bit(bytes, fuzz_number(seed, round, 'bit', n * 8)::bigint,
                           1 - get_bit(bytes, fuzz_number(seed, round, 'bit', n * 8)::bigint));
        WHEN 1 THEN                                 -- one byte
            RETURN set_byte(bytes, at, fuzz_number(seed, round, 'byte', 256));
        WHEN 2 THEN                                 -- a length, count or index
            RETURN fuzz_write(bytes, at, extremes[1 + fuzz_number(seed, round, 'extreme', 6)]);
        WHEN 3 THEN                                 -- a float
            RETURN fuzz_write(bytes, at, doubles[1 + fuzz_number(seed, round, 'double', 6)]);
        WHEN 4 THEN                                 -- truncated
            RETURN substr(bytes, 1, at);
        WHEN 5 THEN                                 -- truncated, with a length that says so
            RETURN fuzz_mend(substr(bytes, 1, at));
        WHEN 6 THEN                                 -- bytes left out
            RETURN fuzz_mend(substr(bytes, 1, at) || substr(bytes, at + width + 1));
        WHEN 7 THEN                                 -- bytes of another place or model put in
            RETURN fuzz_mend(substr(bytes, 1, at) || substr(other, from_other + 1, width) || substr(bytes, at + 1));
        ELSE                                        -- bytes of another place or model written over
            RETURN fuzz_write(bytes, at, substr(other, from_other + 1, width));
    END CASE;
END
$$;

CREATE FUNCTION fuzz_read(bytes bytea) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops.artifact_check(bytes);
    RETURN 'a model';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = 'ML004' THEN SQLSTATE ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;

CREATE FUNCTION fuzz_artifacts(artifacts bytea[], rounds int, seed int, OUT outcome text, OUT n bigint)
RETURNS SETOF record LANGUAGE sql AS $$
    SELECT fuzz_read(fuzz_mutate(
               artifacts[1 + fuzz_number(seed, round, 'artifact', cardinality(artifacts))],
               artifacts[1 + fuzz_number(seed, round, 'other artifact', cardinality(artifacts))],
               seed, round)), count(*)
      FROM generate_series(1, rounds) AS round
     GROUP BY 1
$$;
