"""Writes scipy.json: random designs with the answers of scipy 1.17.1 and statsmodels 0.15.0.

    python3 -m venv venv && venv/bin/pip install scipy==1.17.1 statsmodels==0.15.0 mpmath==1.4.1
    venv/bin/python generate.py > scipy.json

The designs come from a fixed seed. Not needed to build or test: scipy.json is committed.
"""

import json
import sys
import warnings

import mpmath
import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

dice = np.random.default_rng(20240229)
warnings.simplefilter("ignore")


def numbers(values):
    return [float(value) for value in np.ravel(values)]


def groups(case):
    """Two to six groups; every third design is rounded so that it has ties, every fourth is skewed."""
    count = int(dice.integers(2, 7))
    made = []
    for _ in range(count):
        size = int(dice.integers(3, 25))
        mean, sd = dice.normal(100, 5), dice.uniform(1, 20)
        values = dice.exponential(sd, size) if case % 4 == 0 else dice.normal(mean, sd, size)
        made.append(np.round(values, 0 if case % 3 == 0 else 6))
    return made


def pairs(result, interval, count):
    rows = []
    for i in range(count):
        for j in range(i + 1, count):
            rows.append([result.statistic[i, j], result.pvalue[i, j], interval.low[i, j], interval.high[i, j]])
    return [numbers(row) for row in rows]


def compare(case):
    data = groups(case)
    anova = stats.f_oneway(*data)
    welch = anova_oneway(data, use_var="unequal", welch_correction=True)
    levene = [stats.levene(*data, center=center) for center in ("median", "mean")]
    tukey = stats.tukey_hsd(*data)
    howell = stats.tukey_hsd(*data, equal_var=False)
    kruskal = stats.kruskal(*data)
    whitney = [stats.mannwhitneyu(data[0], data[1], method=method) for method in ("auto", "asymptotic")]
    pooled = np.concatenate(data)
    shapiro = [stats.shapiro(values) for values in (data[0], pooled)]
    level = 0.9 + 0.01 * (case % 10)
    student = stats.t.interval(level, len(pooled) - 1, loc=pooled.mean(), scale=stats.sem(pooled))
    return {
        "groups": [numbers(group) for group in data],
        "anova": numbers(anova),
        "welch": numbers([welch.statistic, welch.df_denom, welch.pvalue]),
        "levene": [numbers(one) for one in levene],
        "tukey": pairs(tukey, tukey.confidence_interval(0.95), len(data)),
        "games_howell": pairs(howell, howell.confidence_interval(0.95), len(data)),
        "kruskal": numbers(kruskal),
        "mann_whitney": [numbers(one) for one in whitney],
        "shapiro": [numbers(one) for one in shapiro],
        "level": level,
        "student": numbers(student),
        "summary": numbers([pooled.mean(), pooled.std(ddof=1), np.median(pooled), stats.iqr(pooled)]),
        "percentiles": [
            numbers(np.percentile(pooled, [1, 25, 90, 99], method=method))
            for method in ("linear", "median_unbiased", "inverted_cdf")
        ],
    }


def regress(case):
    count = int(dice.integers(6, 40))
    degree = 1 + case % 4
    x = np.round(dice.uniform(-3, 10, count), 4)
    y = np.round(2.0 + 0.5 * x + 0.1 * x**2 + dice.normal(0, 1 + case, count), 5)
    # statsmodels calculates on plain powers: exact enough for x of this size.
    fit = sm.OLS(y, np.vander(x, degree + 1, increasing=True)).fit()
    pearson = stats.pearsonr(x, y)
    fisher = pearson.confidence_interval(0.95)
    positive = np.round(np.exp(0.3 * x + dice.normal(0, 0.3, count)), 6) + 1e-6
    growth = sm.OLS(np.log(positive), sm.add_constant(x)).fit()
    return {
        "x": numbers(x),
        "y": numbers(y),
        "degree": degree,
        "params": numbers(fit.params),
        "errors": numbers(fit.bse),
        "t": numbers(fit.tvalues),
        "p": numbers(fit.pvalues),
        "intervals": [numbers(row) for row in fit.conf_int(0.05)],
        "quality": numbers([fit.rsquared, fit.rsquared_adj, fit.fvalue, fit.f_pvalue, fit.mse_resid**0.5]),
        "pearson": numbers([pearson.statistic, pearson.pvalue, fisher.low, fisher.high]),
        "positive": numbers(positive),
        "growth": numbers([growth.params[0], growth.params[1], growth.bse[1], growth.pvalues[1], growth.rsquared]),
    }


def bca(case):
    values = np.round(dice.exponential(10, 12 + case), 4)
    median = case % 2 == 1
    statistic = np.median if median else np.mean
    drawn = stats.bootstrap((values,), statistic, n_resamples=199, method="percentile", rng=dice)
    distribution = np.round(drawn.bootstrap_distribution, 9)
    drawn.bootstrap_distribution = distribution
    interval = stats.bootstrap(
        (values,), statistic, n_resamples=0, method="BCa", confidence_level=0.9, bootstrap_result=drawn, rng=dice
    ).confidence_interval
    return {"values": numbers(values), "median": median, "distribution": numbers(distribution), "bca": numbers(interval)}


def tails():
    """Arguments from scipy, probabilities at them by multiprecision."""
    rows = []
    laws = [("t", [df]) for df in (1, 2, 3.7, 30, 1e4, 1e9)]
    laws += [("f", pair) for pair in ([1, 1], [2, 7.3], [8, 18000], [5, 3], [1000, 2000], [0.5, 40])]
    laws += [("chi2", [df]) for df in (0.7, 1, 2, 17, 400, 1e5)] + [("norm", [])]
    for name, parameters in laws:
        law = getattr(stats, name)(*parameters)
        for p in (1e-30, 1e-9, 0.003, 0.2, 0.5, 0.7, 0.99):
            x = float(law.isf(p))
            if x != 0 and 1e-200 < abs(x) < 1e100:
                upper = exact_upper(name, parameters, x)
                rows.append([name, parameters, x, float(1 - upper), float(upper)])
    return rows


def exact_upper(name, parameters, x):
    with mpmath.workdps(120):
        x, parameters = mpmath.mpf(x), [mpmath.mpf(one) for one in parameters]
        if name == "norm":
            return mpmath.erfc(x / mpmath.sqrt(2)) / 2
        if name == "chi2":
            return mpmath.gammainc(parameters[0] / 2, x / 2, mpmath.inf, regularized=True)
        if name == "f":
            first, second = parameters
            share = second / (second + first * x)
            return mpmath.betainc(second / 2, first / 2, 0, share, regularized=True)
        (df,) = parameters
        centre = mpmath.betainc(mpmath.mpf(1) / 2, df / 2, 0, x * x / (df + x * x), regularized=True)
        return (1 - mpmath.sign(x) * centre) / 2


def studentized():
    rows = []
    for _ in range(40):
        k, df = int(dice.integers(2, 40)), round(float(dice.uniform(1, 120)), 3)
        p = float(dice.uniform(0.001, 0.999))
        q = stats.studentized_range.ppf(p, k, df)
        rows.append(numbers([k, df, q, stats.studentized_range.cdf(q, k, df)]))
    return rows


def main():
    found = {
        "designs": [compare(case) for case in range(24)],
        "regressions": [regress(case) for case in range(16)],
        "bootstraps": [bca(case) for case in range(6)],
        "tails": tails(),
        "studentized_range": studentized(),
    }
    sections = []
    for name, rows in found.items():
        lines = ",\n".join(json.dumps(row) for row in rows)
        sections.append(f'"{name}": [\n{lines}\n]')
    sys.stdout.write("{\n" + ",\n".join(sections) + "\n}\n")


main()
