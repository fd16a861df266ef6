"""What the benchmarks share: the connection, the clock, and columns by COPY BINARY.

Connects through PGHOST to database "bench". Progress goes to standard error.
"""
import io
import os
import platform
import subprocess
import sys
import time

import numpy
import psycopg2

ROWS = int(os.environ.get("ROWS", "1000000"))
RUNS = int(os.environ.get("RUNS", "0"))		# 0: as many as each part likes
HERE = os.path.dirname(os.path.abspath(__file__))


def note(text):
    print(text, file=sys.stderr, flush=True)


def connect():
    connection = psycopg2.connect(dbname="bench")
    connection.autocommit = True
    return connection


def run(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def make_table(file, name, rows):
    """Runs test/bench/FILE.sql, which makes table NAME, unless it is there."""
    with connect() as connection:
        if run(connection, "SELECT to_regclass('%s') IS NOT NULL" % name)[0][0]:
            return
    note("generating %s, %s rows" % (name, format(rows, ",")))
    subprocess.run(["psql", "-X", "-q", "-d", "bench", "-v", "ON_ERROR_STOP=1", "-v", "name=" + name,
                    "-v", "rows=%d" % rows, "-f", os.path.join(HERE, file + ".sql")], check=True, stdout=sys.stderr)


def pull(query, kinds):
    """The columns of a query as an array of records, by COPY BINARY: the fast way out of the database.

    kinds are numpy types, ">f8", ">i4", or "S8" for strings of 8 bytes; no column is NULL.
    """
    buffer = io.BytesIO()
    with connect() as connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY (%s) TO STDOUT (FORMAT binary)" % query, buffer)
    data = buffer.getbuffer()[19:]		# without the header
    row = numpy.dtype([("fields", ">i2")] +
                      [("c%d" % i, [("length", ">i4"), ("value", kind)]) for i, kind in enumerate(kinds)])
    return numpy.frombuffer(data, dtype=row, count=(len(data) - 2) // row.itemsize)


def push(table, columns):
    """Arrays of numpy types ">i4" and ">f8" into a table, by COPY BINARY."""
    row = numpy.dtype([("fields", ">i2")] +
                      [("c%d" % i, [("length", ">i4"), ("value", column.dtype)]) for i, column in enumerate(columns)])
    rows = numpy.empty(len(columns[0]), dtype=row)
    rows["fields"] = len(columns)
    for i, column in enumerate(columns):
        rows["c%d" % i]["length"] = column.dtype.itemsize
        rows["c%d" % i]["value"] = column
    data = b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"
    with connect() as connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY %s FROM STDIN (FORMAT binary)" % table, io.BytesIO(data))


def peak_mb(connection):
    """The most memory that the backend has had resident (VmHWM), shared buffers that it read included."""
    with open("/proc/%d/status" % run(connection, "SELECT pg_backend_pid()")[0][0]) as file:
        return [int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")][0]


def shown(value):
    """Seconds, with three digits or so."""
    return "%.1f s" % value if value >= 10 else "%.2f s" % value if value >= 1 else "%.0f ms" % (1000 * value)


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 1048576
    return "%s, %d processors, %.0f GiB, %s %s" % (names[0] if names else platform.machine(), os.cpu_count(), memory,
                                                  platform.system(), platform.release())


def print_table(columns, rows):
    """A table in markdown; names of columns that begin with < are aligned to the left, others to the right."""
    print("| " + " | ".join(column.lstrip("<") for column in columns) + " |")
    print("|" + "|".join("---" if column.startswith("<") else "--:" for column in columns) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
