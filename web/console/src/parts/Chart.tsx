/** A chart. Only the parts of ECharts that are used are loaded. */

import { BarChart, LineChart } from 'echarts/charts';
import { AriaComponent, GridComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';
import { useAppearance } from '@/shell/appearance';

echarts.use([LineChart, BarChart, GridComponent, TooltipComponent, MarkAreaComponent, MarkLineComponent, AriaComponent, CanvasRenderer]);

export function Chart({ option, height = 300, label }: { option: echarts.EChartsCoreOption; height?: number; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<echarts.EChartsType>(undefined);
  const { dark } = useAppearance();

  useEffect(() => {
    if (!box.current) return;
    const made = echarts.init(box.current, dark ? 'dark' : undefined);
    chart.current = made;
    const resize = new ResizeObserver(() => made.resize());
    resize.observe(box.current);
    return () => {
      resize.disconnect();
      made.dispose();
    };
  }, [dark]);

  useEffect(() => {
    // Series go by their ids, so that what is pointed at stays so while figures are refreshed.
    chart.current?.setOption({ backgroundColor: 'transparent', animation: false, ...option }, { replaceMerge: ['series'] });
  }, [option, dark]);

  return <div ref={box} role="img" aria-label={label} style={{ height, width: '100%' }} data-testid="chart" />;
}
