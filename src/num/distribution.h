/*
 * distribution.h
 *		Tail probabilities, to a relative error of 1e-10 or so down to the
 *		smallest double; what is smaller is 0. NaN in, NaN out.
 */
#ifndef ML_NUM_DISTRIBUTION_H
#define ML_NUM_DISTRIBUTION_H

/* P(|Z| >= |z|), Z standard normal */
extern double ml_normal_two_sided(double z);

/* P(|T| >= |t|), Student's t with df > 0 degrees of freedom */
extern double ml_t_two_sided(double t, double df);

/* P(F >= f), F with df1, df2 > 0 degrees of freedom */
extern double ml_f_upper(double f, double df1, double df2);

/* P(X >= x), chi-square with df > 0 degrees of freedom */
extern double ml_chi_square_upper(double x, double df);

#endif							/* ML_NUM_DISTRIBUTION_H */
