/*
 * qr.h
 *		Least squares by orthogonal triangularisation, block by block.
 *
 * The R factor of a tall matrix is all that least squares needs, and the R
 * factors of two stacks of rows merge into the R factor of both. R is n x n,
 * column-major, leading dimension n, upper triangular; what lies below the
 * diagonal is never read. All zeros is the R of no rows at all.
 *
 * Householder reflections throughout: the error is that of a QR of the whole
 * matrix at once, where normal equations would square the condition number.
 */
#ifndef ML_NUM_QR_H
#define ML_NUM_QR_H

#include <stdbool.h>
#include <stddef.h>

#include "num/status.h"

/* as the tolerance of LINPACK's dqrdc2 in R's lm */
#define ML_RANK_TOLERANCE 1e-7

/* rows of a block that ml_qr_update takes best for n columns; multiple of 4 */
extern int	ml_qr_block_rows(int n);

/* doubles of work space for updates and merges */
extern size_t ml_qr_work_size(int n);

/*
 * R becomes the R factor of [R; B]. B is m x n, column-major with leading
 * dimension ldb, a multiple of 4 and >= m; rows m .. ldb - 1 must be zero. B
 * is overwritten.
 */
extern void ml_qr_update(int n, double *r, int m, double *b, int ldb, double *work);

/* R becomes the R factor of [R; other] */
extern void ml_qr_merge(int n, double *r, const double *other, double *work);

/*
 * Which of the first ncandidates columns of R stand on their own, earlier ones
 * first: a column whose part orthogonal to the columns kept before it is
 * shorter than 1e-7 of the column is dropped, as LINPACK's dqrdc2 in R's lm
 * does. On return kept[0 .. rank - 1] are the columns kept in order, and R's
 * columns kept, ncandidates.. hold the triangular factor of [kept, rest] in
 * rows 0 .. rank - 1; rows from rank on of the rest are what the kept columns
 * do not explain. Zeros must lie below R's diagonal. work: n doubles. Returns
 * the rank.
 */
extern int	ml_qr_rank(int n, double *r, int ncandidates, int *kept, double *work);

#endif							/* ML_NUM_QR_H */
