"""What the measured schedules run."""


def work(*args):
    return args
