"""tidemill: from raw events to scored, monitored predictions on Spark, honest about time at every step."""

__version__ = "0.1.0"
