// The filters that h5z ships. Empty here: `ls filters/` is the only list of filters, and the farm's build writes it over
// the compiled module (dist/shipped.js). Without that step every filter is `planned`.

/** What filters/<name> says of itself. */
export interface ShippedFilter {
  readonly id: number;
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly lossy: boolean;
  readonly licence: string;
  readonly aliases: readonly number[];
  readonly package: string;
}

export const SHIPPED: readonly ShippedFilter[] = [];
