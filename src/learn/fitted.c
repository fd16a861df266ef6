/*
 * fitted.c
 *		What learners share in building a result and in refusing one.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "learn/driver.h"
#include "lib/stringinfo.h"

#define MAX_FACTS	24
#define MAX_NOTES	8
#define MAX_SERIES	8
#define NAMES_SHOWN 10

MlFitted *
ml_fitted_make(void)
{
	MlFitted   *fitted = palloc0(sizeof(MlFitted));

	fitted->facts = palloc(MAX_FACTS * sizeof(MlFact));
	fitted->series = palloc(MAX_SERIES * sizeof(MlSeries));
	fitted->notes = palloc(MAX_NOTES * sizeof(char *));
	fitted->converged = true;
	return fitted;
}

MlFitted *
ml_fitted_linear(MlLink link, int noutputs, int ncolumns)
{
	static const MlCoefficient none = {0, NAN, NAN, NAN};
	MlFitted   *fitted = ml_fitted_make();
	MlLinear   *linear = palloc0(sizeof(MlLinear));
	Size		n = (Size) noutputs * ncolumns;

	linear->base.kind = ML_PREDICTOR_LINEAR;
	linear->link = link;
	linear->noutputs = noutputs;
	linear->intercept = palloc(noutputs * sizeof(MlCoefficient));
	for (int o = 0; o < noutputs; o++)
		linear->intercept[o] = none;
	linear->coefficient = palloc_extended(Max(n, 1) * sizeof(MlCoefficient), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < n; i++)
		linear->coefficient[i] = none;
	fitted->predictor = &linear->base;
	return fitted;
}

/* an infinity is no fact that JSON or a reader could use: NaN, shown as NULL */
void
ml_fitted_fact(MlFitted *fitted, const char *name, double value)
{
	if (fitted->nfacts == MAX_FACTS)
		elog(ERROR, "no room for fact \"%s\"", name);
	fitted->facts[fitted->nfacts].name = name;
	fitted->facts[fitted->nfacts++].value = isinf(value) ? NAN : value;
}

/* the values are copied */
void
ml_fitted_series(MlFitted *fitted, const char *name, int n, const double *value)
{
	double	   *copy = palloc(Max(n, 1) * sizeof(double));

	if (fitted->nseries == MAX_SERIES)
		elog(ERROR, "no room for series \"%s\"", name);
	memcpy(copy, value, n * sizeof(double));
	fitted->series[fitted->nseries].name = name;
	fitted->series[fitted->nseries].n = n;
	fitted->series[fitted->nseries++].value = copy;
}

void
ml_fitted_note(MlFitted *fitted, const char *format,...)
{
	StringInfoData buf;

	if (fitted->nnotes == MAX_NOTES)
		elog(ERROR, "no room for another note");
	initStringInfo(&buf);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&buf, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	fitted->notes[fitted->nnotes++] = buf.data;
}

char *
ml_column_list(const MlDesignMatrix *rows, int n, const int *columns)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n && i < NAMES_SHOWN; i++)
		appendStringInfo(&buf, "%s\"%s\"", i > 0 ? ", " : "", rows->column_name[columns[i]]);
	if (n > NAMES_SHOWN)
		appendStringInfo(&buf, " and %d more", n - NAMES_SHOWN);
	return buf.data;
}

void
ml_fitted_drop(MlFitted *fitted, const MlDesignMatrix *rows, int nkept, const int *kept)
{
	int			ndropped = 0;
	int		   *dropped;

	if (nkept == rows->ncolumns)
		return;
	dropped = palloc(rows->ncolumns * sizeof(int));
	for (int j = 0, next = 0; j < rows->ncolumns; j++)
	{
		if (next < nkept && kept[next] == j)
			next++;
		else
		{
			ml_linear(fitted)->coefficient[j].estimate = NAN;
			dropped[ndropped++] = j;
		}
	}
	ml_fitted_note(fitted, "dropped as a linear combination of columns before: %s",
				   ml_column_list(rows, ndropped, dropped));
	pfree(dropped);
}

void
ml_require_rows(const MlFit *fit, const char *algorithm, int64 ncoefficients)
{
	if (fit->rows->nrows >= ncoefficients || fit->rows->nrows < 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("\"%s\" needs at least as many rows as coefficients", algorithm),
			 errdetail("There are " INT64_FORMAT " training rows for " INT64_FORMAT " coefficients.",
					   fit->rows->nrows, ncoefficients),
			 errhint("Train on more rows or fewer features, or with a penalty: params => '{\"l2\": 1}'.")));
}

/* NaN is the estimate of a column that was dropped; an intercept is never dropped */
static const char *
not_finite(const MlLinear *linear, const MlDesignMatrix *rows)
{
	for (int o = 0; linear->has_intercept && o < linear->noutputs; o++)
		if (!isfinite(linear->intercept[o].estimate))
			return "the intercept";
	for (int o = 0; linear->coefficient && o < linear->noutputs; o++)
		for (int j = 0; j < rows->ncolumns; j++)
			if (isinf(linear->coefficient[(Size) o * rows->ncolumns + j].estimate))
				return psprintf("the coefficient of \"%s\"", rows->column_name[j]);
	return NULL;
}

void
ml_require_finite(const MlFitted *fitted, const MlDesignMatrix *rows, const MlAlgorithm *algorithm)
{
	const char *what = NULL;

	if (fitted->predictor->kind == ML_PREDICTOR_LINEAR)
		what = not_finite((const MlLinear *) fitted->predictor, rows);
	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_ML_NO_CONVERGENCE),
				 errmsg("the fit of \"%s\" left the range of numbers", algorithm->name),
				 errdetail("Not finite: %s.", what),
				 errhint("Bring features, weights and penalties to a usual size.")));
}
