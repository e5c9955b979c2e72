"""The Python functions of `docs/sql.md` as PyFlink declares them: shapes for the planner, which never calls them."""

from pyflink.table import AggregateFunction, DataTypes
from pyflink.table.udf import udaf, udf, udtf


@udf(result_type=DataTypes.DOUBLE())
def boosted(category, price):
    return price


@udtf(result_types=[DataTypes.STRING(), DataTypes.INT()])
def words(title):
    yield title, 0


class _WeightedMean(AggregateFunction):
    def create_accumulator(self):
        return [0.0, 0]

    def accumulate(self, acc, value, weight):
        acc[0] += value * weight
        acc[1] += weight

    def get_value(self, acc):
        return acc[0]


WeightedMean = udaf(
    _WeightedMean(),
    result_type=DataTypes.DOUBLE(),
    accumulator_type=DataTypes.ROW(
        [DataTypes.FIELD("sum", DataTypes.DOUBLE()), DataTypes.FIELD("n", DataTypes.BIGINT())]
    ),
)
