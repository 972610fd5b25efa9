"""What a plan does to a list of requests, said as plainly as it can be: every request looks at all that went before it."""

from datetime import UTC, datetime, timedelta

from domain.billing_periods import months_between

SECOND = 1_000_000
SLOTS = {"second": (100_000, 10), "minute": (3_000_000, 20)}


def moment(at):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def same_window(period, anchor, one, other):
    a, b = moment(one), moment(other)
    if period == "month":
        return months_between(anchor, a) == months_between(anchor, b)
    return a.date() == b.date() and (period == "day" or a.hour == b.hour)


def counts(limit, request):
    """Whether a request to this service and operation counts in the limit."""
    return limit.service_id in (None, request.service_id) and limit.operation_id in (None, request.operation_id)


def used(limit, request, taken, anchor):
    """What stands in the limit's window when the request comes. `taken` is (request, {limit's name: permits})."""
    total = 0
    for other, permits in taken:
        if limit.name not in permits or (limit.scope == "key" and other.key_id != request.key_id):
            continue
        if limit.period == "concurrent":
            inside = other.begun_us + other.total_us > request.begun_us
        elif limit.period in SLOTS:
            length, number = SLOTS[limit.period]
            inside = other.begun_us // length >= request.begun_us // length - number
        else:
            inside = same_window(limit.period, anchor, other.begun_us, request.begun_us)
        total += permits[limit.name] if inside else 0
    return total


def judged(requests, limits, *, anchor, by_quota, overage, units, prices, balance):
    """Which requests are admitted, by which limits each was refused, what shadows would have refused, what was spent."""
    taken, admitted, refused_by, over, spent = [], [], [], [], 0
    for request in requests:
        price = prices.get(request.operation_id, 0)
        weights = {
            limit.name: (units.get(request.operation_id, 1) if limit.unit == "quota" else 1)
            for limit in limits
            if counts(limit, request) and (by_quota or limit.unit != "quota")
        }
        enforced = [limit for limit in limits if not limit.shadow and weights.get(limit.name)]
        lacking = [li for li in enforced if used(li, request, taken, anchor) + weights[li.name] > li.amount]
        paid = not by_quota
        if any(li.unit == "quota" for li in lacking) and overage == "credits" and price:
            paid = True
            weights = {li.name: 1 for li in limits if li.unit != "quota" and li.name in weights}
            lacking = [li for li in lacking if li.unit != "quota"]
        names = {li.name for li in lacking}
        if not names and paid and price > balance:
            names = {"credits"}
        admitted.append(not names)
        refused_by.append(names)
        shadowed = set()
        if not names:
            cost = price if paid and request.status < 400 else 0
            balance, spent = balance - cost, spent + cost
            for li in limits:
                if (
                    li.shadow
                    and weights.get(li.name)
                    and used(li, request, taken, anchor) + weights[li.name] > li.amount
                ):
                    shadowed.add(li.name)
            taken.append((request, {name: weight for name, weight in weights.items() if weight}))
        over.append(shadowed)
    return admitted, refused_by, over, spent
