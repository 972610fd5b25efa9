"""The names of the back office's cookies. On one host they meet the portal's, so they are others."""

SESSION, VISITOR, DEVICE = "pe_operator", "pe_operator_visitor", "pe_operator_device"
