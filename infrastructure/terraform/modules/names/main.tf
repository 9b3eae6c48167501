# What everything is called, in one place: the modules that make it and the alerts that watch it agree.
locals {
  base    = "${var.prefix}-${var.site}"
  site_id = coalesce(var.site_id, var.site)
}
