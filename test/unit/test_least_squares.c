/*
 * test_least_squares.c
 *		Blockwise QR against certified results, and against itself: however rows
 *		are cut into blocks and merged, R is the same to rounding.
 *
 * Data and certified values: NIST Statistical Reference Datasets, linear
 * regression, Norris and Longley, https://www.itl.nist.gov/div898/strd/ (public
 * domain).
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "num/dense.h"
#include "num/qr.h"

#define MAX_COLUMNS 300
#define MAX_ROWS	2000

/* y, x */
static const double norris[][2] = {
	{0.1, 0.2},
	{338.8, 337.4},
	{118.1, 118.2},
	{888.0, 884.6},
	{9.2, 10.1},
	{228.1, 226.5},
	{668.5, 666.3},
	{998.5, 996.3},
	{449.1, 448.6},
	{778.9, 777.0},
	{559.2, 558.2},
	{0.3, 0.4},
	{0.1, 0.6},
	{778.1, 775.5},
	{668.8, 666.9},
	{339.3, 338.0},
	{448.9, 447.5},
	{10.8, 11.6},
	{557.7, 556.0},
	{228.3, 228.1},
	{998.0, 995.8},
	{888.8, 887.6},
	{119.6, 120.2},
	{0.3, 0.3},
	{0.6, 0.3},
	{557.6, 556.8},
	{339.3, 339.1},
	{888.0, 887.2},
	{998.5, 999.0},
	{778.9, 779.0},
	{10.2, 11.1},
	{117.6, 118.3},
	{228.9, 229.2},
	{668.4, 669.1},
	{449.2, 448.9},
	{0.2, 0.5},
};

static const double norris_coefficient[] = {
	-0.262323073774029,
	1.00211681802045
};

static const double norris_error[] = {
	0.232818234301152,
	0.429796848199937E-03
};

/* y, x1 .. x6 */
static const double longley[][7] = {
	{60323, 83.0, 234289, 2356, 1590, 107608, 1947},
	{61122, 88.5, 259426, 2325, 1456, 108632, 1948},
	{60171, 88.2, 258054, 3682, 1616, 109773, 1949},
	{61187, 89.5, 284599, 3351, 1650, 110929, 1950},
	{63221, 96.2, 328975, 2099, 3099, 112075, 1951},
	{63639, 98.1, 346999, 1932, 3594, 113270, 1952},
	{64989, 99.0, 365385, 1870, 3547, 115094, 1953},
	{63761, 100.0, 363112, 3578, 3350, 116219, 1954},
	{66019, 101.2, 397469, 2904, 3048, 117388, 1955},
	{67857, 104.6, 419180, 2822, 2857, 118734, 1956},
	{68169, 108.4, 442769, 2936, 2798, 120445, 1957},
	{66513, 110.8, 444546, 4681, 2637, 121950, 1958},
	{68655, 112.6, 482704, 3813, 2552, 123366, 1959},
	{69564, 114.2, 502601, 3931, 2514, 125368, 1960},
	{69331, 115.7, 518173, 4806, 2572, 127852, 1961},
	{70551, 116.9, 554894, 4007, 2827, 130081, 1962},
};

static const double longley_coefficient[] = {
	-3482258.63459582,
	15.0618722713733,
	-0.358191792925910E-01,
	-2.02022980381683,
	-1.03322686717359,
	-0.511041056535807E-01,
	1829.15146461355
};

static const double longley_error[] = {
	890420.383607373,
	84.9149257747669,
	0.334910077722432E-01,
	0.488399681651699,
	0.214274163161675,
	0.226073200069370,
	455.478499142212
};

static double work[MAX_COLUMNS * MAX_COLUMNS * 4];

/* R of rows [first, last) of a row-major table, block rows at a time */
static void
triangularise(int n, const double *table, int first, int last, int block, double *r)
{
	int			ld = (block + 3) / 4 * 4;
	double	   *b = calloc((size_t) ld * n, sizeof(double));

	memset(r, 0, sizeof(double) * n * n);
	for (int from = first; from < last; from += block)
	{
		int			m = last - from < block ? last - from : block;

		memset(b, 0, sizeof(double) * ld * n);
		for (int i = 0; i < m; i++)
			for (int j = 0; j < n; j++)
				b[i + (size_t) j * ld] = table[(size_t) (from + i) * n + j];
		ml_qr_update(n, r, m, b, ld, work);
	}
	for (int j = 0; j < n; j++)
		for (int i = j + 1; i < n; i++)
			r[i + j * n] = 0;
	free(b);
}

/* coefficients and standard errors of the last column of [1 x y] */
static void
solve(int n, double *r, int nrows, double *coefficient, double *error, double *sigma)
{
	int			p = n - 1;
	double		u[64];
	int			kept[MAX_COLUMNS];

	check(ml_qr_rank(n, r, p, kept, work) == p, "full rank");
	for (int j = 0; j < p; j++)
		memcpy(u + j * p, r + j * n, sizeof(double) * p);
	memcpy(coefficient, r + p * n, sizeof(double) * p);
	ml_upper_solve(p, u, coefficient);
	ml_upper_inverse(p, u);
	*sigma = fabs(r[p + p * n]) / sqrt(nrows - p);
	for (int j = 0; j < p; j++)
		error[j] = *sigma * ml_upper_row_norm(p, u, j);
}

/* the table is [y x ...]; in blocks of that many rows */
static void
certified(const char *name, int n, const double *data, int nrows, int block, bool halves,
		  const double *coefficient, const double *error, double sigma)
{
	double		table[64 * 8];
	double		r[64];
	double		other[64];
	double		b[8];
	double		e[8];
	double		s;
	char		text[100];

	for (int i = 0; i < nrows; i++)
	{
		table[i * (n + 1)] = 1;
		for (int j = 1; j < n; j++)
			table[i * (n + 1) + j] = data[i * n + j];
		table[i * (n + 1) + n] = data[i * n];
	}
	n++;
	triangularise(n, table, 0, halves ? nrows / 2 : nrows, block, r);
	if (halves)
	{
		triangularise(n, table, nrows / 2, nrows, block, other);
		ml_qr_merge(n, r, other, work);
	}
	solve(n, r, nrows, b, e, &s);
	for (int j = 0; j < n - 1; j++)
	{
		snprintf(text, sizeof(text), "%s, blocks of %d%s: coefficient %d", name, block, halves ? ", merged" : "", j);
		check_close(b[j], coefficient[j], 1e-9, text);
		snprintf(text, sizeof(text), "%s, blocks of %d%s: standard error %d", name, block, halves ? ", merged" : "", j);
		check_close(e[j], error[j], 1e-9, text);
	}
	check_close(s, sigma, 1e-10, "residual standard deviation");
}

/* repeatable numbers in (-1, 1): the minimal standard generator of Park & Miller */
static double
next_number(void)
{
	static long long seed = 1;

	seed = seed * 48271 % 2147483647;
	return seed / 1073741824.0 - 1;
}

/* largest difference of R'R and X'X, relative to the diagonal */
static double
gram_error(int n, const double *r, const double *table, int nrows)
{
	double		worst = 0;

	for (int j = 0; j < n; j++)
		for (int k = 0; k <= j; k++)
		{
			double		x = 0;
			double		q = 0;

			for (int i = 0; i < nrows; i++)
				x += table[(size_t) i * n + j] * table[(size_t) i * n + k];
			for (int i = 0; i <= k; i++)
				q += r[i + j * n] * r[i + k * n];
			worst = fmax(worst, fabs(x - q) / nrows);
		}
	return worst;
}

/* narrow and wide matrices take different ways through the code */
static void
test_shapes(void)
{
	static double table[MAX_ROWS * MAX_COLUMNS];
	static double whole[MAX_COLUMNS * MAX_COLUMNS];
	static double part[MAX_COLUMNS * MAX_COLUMNS];
	const int	shape[][2] = {{1, 9}, {5, 3}, {7, 1000}, {130, 2000}, {256, 333}, {257, 50}, {300, 900}};
	char		text[100];

	for (int s = 0; s < (int) (sizeof(shape) / sizeof(shape[0])); s++)
	{
		int			n = shape[s][0];
		int			rows = shape[s][1];

		for (int i = 0; i < rows * n; i++)
			table[i] = next_number();
		triangularise(n, table, 0, rows, ml_qr_block_rows(n), whole);
		snprintf(text, sizeof(text), "%d columns, %d rows: R'R = X'X", n, rows);
		check_close(gram_error(n, whole, table, rows), 0, 1e-14, text);

		triangularise(n, table, 0, rows / 3, 37, whole);
		triangularise(n, table, rows / 3, rows, 64, part);
		ml_qr_merge(n, whole, part, work);
		snprintf(text, sizeof(text), "%d columns, %d rows: merged R'R = X'X", n, rows);
		check_close(gram_error(n, whole, table, rows), 0, 1e-14, text);

		memcpy(part, whole, sizeof(double) * n * n);
		memset(whole, 0, sizeof(double) * n * n);
		ml_qr_merge(n, whole, part, work);
		memset(part, 0, sizeof(double) * n * n);
		ml_qr_merge(n, whole, part, work);
		snprintf(text, sizeof(text), "%d columns, %d rows: no rows on either side", n, rows);
		check_close(gram_error(n, whole, table, rows), 0, 1e-14, text);
	}
	check(ml_qr_work_size(MAX_COLUMNS) <= sizeof(work) / sizeof(double), "work space");
}

/* constants, copies, sums and a column that is zero; the last is what is explained */
static void
test_rank(void)
{
	enum
	{
		n = 9, rows = 50
	};
	double		table[rows * n];
	double		r[n * n];
	int			kept[n];
	double		rss = 0;
	int			rank;

	for (int i = 0; i < rows; i++)
	{
		double	   *x = table + i * n;

		x[0] = 1;
		x[1] = next_number();
		x[2] = 42;				/* as the first */
		x[3] = next_number() * 1e6;
		x[4] = 1e-5 * x[1] + x[3] + 3;
		x[5] = 0;
		x[6] = 1000 + 2e-5 * next_number();	/* 1e-8 of it is new: too little */
		x[7] = 1000 + 2 * next_number();
		x[8] = 2 * x[1] - x[7];
	}
	triangularise(n, table, 0, rows, 16, r);
	rank = ml_qr_rank(n, r, n - 1, kept, work);
	check(rank == 4, "rank of 8 columns");
	check(kept[0] == 0 && kept[1] == 1 && kept[2] == 3 && kept[3] == 7, "earlier columns win");
	for (int i = rank; i < n; i++)
		rss += r[i + (n - 1) * n] * r[i + (n - 1) * n];
	check_close(sqrt(rss), 0, 1e-10, "what is left is explained by the columns kept");
}

int
main(void)
{
	for (int block = 3; block <= 40; block += 37)
		for (int halves = 0; halves < 2; halves++)
		{
			certified("Norris", 2, &norris[0][0], 36, block, halves,
					  norris_coefficient, norris_error, 0.884796396144373);
			certified("Longley", 7, &longley[0][0], 16, block, halves,
					  longley_coefficient, longley_error, 304.854073561965);
		}
	test_shapes();
	test_rank();
	return checks_done();
}
